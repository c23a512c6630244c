"""`sacristy init`: the home folder and its secrets, made once and never overwritten."""

from __future__ import annotations

import base64
import os
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sacristy.errors import PathNotWritable
from sacristy.gateway.rights import TokenRole
from sacristy.gateway.tokens import admit, new_secret
from sacristy.images.signature import PRIVATE, keys_of, new_private_key, public_pem
from sacristy.settings import Role, Settings

FOLDERS = (
    "secrets",
    "mongodb",
    "omniboard",
    "weights",
    "images",
    "registry",
    "environments",
    "journals",
    "gateway",
    "instances",
    "logs",
    "run",
)
KEYFILE = "mongodb-keyfile"
SESSION_KEY = "gateway-session-key"
JENKINS_ROLES = ("scientist", "engineer", "ops")  # the users of jenkins/casc.yaml
KEYFILE_BYTES = 384  # as base64 512 characters; mongod takes 6 to 1024


@dataclass(frozen=True)
class InitReport:
    """What was made now, and what was there before; paths relative to the home folder."""

    made: list[str]
    kept: list[str]


def init(settings: Settings) -> InitReport:
    """Make the folders (mode 0700) and secrets that are missing. Raises PathNotWritable."""
    report = InitReport([], [])
    try:
        for folder in (settings.home, *(settings.home / name for name in FOLDERS)):
            _note(report, _make_folder(folder), os.path.relpath(folder, settings.home))
        for name, make in secret_makers().items():
            path = settings.home / "secrets" / name
            _note(report, make_secret(path, make), f"secrets/{name}")
        keys = keys_of(settings.home)
        _note(report, make_secret(keys.public_file, lambda: public_pem(keys.private())), keys.public_file.name)
        for role in TokenRole:
            new = admit(settings.tokens_file, role, role, settings.secret(token_secret(role)))
            _note(report, new, f"gateway/tokens.json: {role}")
    except OSError as error:
        raise PathNotWritable(path=error.filename or settings.home, reason=error.strerror) from None
    return report


def secret_makers() -> dict[str, Callable[[], str]]:
    """Return how each secret is generated, by file name."""
    passwords: dict[str, Callable[[], str]] = {f"mongodb-{role}": _password for role in Role}
    tokens = {token_secret(role): new_secret for role in TokenRole}
    passwords |= {f"jenkins-{role}-password": _password for role in JENKINS_ROLES} | {"jenkins-token": _jenkins_token}
    return passwords | tokens | {KEYFILE: _keyfile, SESSION_KEY: _password, PRIVATE: new_private_key}


def _jenkins_token() -> str:
    """Return an API token as Jenkins makes them: `11` says how it is kept there."""
    return f"11{secrets.token_hex(16)}"


def token_secret(role: TokenRole) -> str:
    """Return the file name of this machine's own token of a role."""
    return f"gateway-{role}"


def secret_mode(name: str) -> int:
    """Return the mode of a secret's file: mongod takes no keyfile that could be written."""
    return 0o400 if name == KEYFILE else 0o600


def _note(report: InitReport, made: bool, name: str) -> None:
    (report.made if made else report.kept).append(name)


def _make_folder(folder: Path) -> bool:
    made = not folder.is_dir()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & 0o077:  # made by an earlier step, or under another umask
        folder.chmod(0o700)
    return made


def make_secret(path: Path, make: Callable[[], str]) -> bool:
    """Make a secret's file unless it is there; say whether it was made. Raises OSError."""
    if path.exists():
        return False
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(make())
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, secret_mode(path.name))
        os.link(temporary, path)  # unlike a rename, this never replaces what another has made meanwhile
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary)
    return True


def _password() -> str:
    return secrets.token_urlsafe(32)


def _keyfile() -> str:
    return base64.b64encode(secrets.token_bytes(KEYFILE_BYTES)).decode()
