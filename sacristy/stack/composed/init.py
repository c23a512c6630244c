"""`sacristy init --compose`: this site's .env, secrets, authority and certificates; made once, never overwritten.

Containers run as one user who is not root and may read the secrets that are mounted into them: whoever runs this, or
65532 where that is root. No file here is readable for anybody else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import secrets
import stat
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sacristy import __version__
from sacristy.errors import InvalidHostName, PathNotWritable
from sacristy.images.signature import PRIVATE, PUBLIC, Keys, public_pem
from sacristy.private import write_private
from sacristy.settings import Settings
from sacristy.stack.composed.certificates import Pair, new_authority, new_certificate
from sacristy.stack.composed.clients import client_files
from sacristy.stack.composed.place import ROLES, Place, place_of
from sacristy.stack.init import InitReport, make_secret, secret_makers

HOST_NAME = re.compile(r"(?=.{1,200}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
UNPRIVILEGED = 65532
SOCKET = "/var/run/docker.sock"
LOGINS = (*ROLES, "operator")  # operator: the operator's own, which reads the registry
LOCAL = ("localhost", "127.0.0.1")
BCRYPT_ROUNDS = 1 << 10
HASHING = "rabbit_password_hashing_sha256"
IMAGES = (
    "nginx",
    "mongodb",
    "stack",
    "omniboard",
    "store",
    "registry",
    "operator",
    "rabbitmq",
    "prometheus",
    "jenkins",
)
TLS_SERVICES = ("mongodb", "registry", "store", "rabbitmq")
PUBLISHED = {"grafana": "grafana/grafana:11.4.0"}  # by others: a site names it by digest in .env
JENKINS, JENKINS_USER = "jenkins-", 1000  # what its secrets begin with; its image's own


def init_composed(settings: Settings, name: str, port: int = 443) -> InitReport:
    """Make what is missing of .env, secrets/ and clients/. Raises InvalidHostName or PathNotWritable."""
    place, report = place_of(settings), InitReport([], [])
    if not HOST_NAME.fullmatch(name) and not place.env.is_file():  # else what .env says counts
        raise InvalidHostName(name=name)
    try:
        place.secrets.mkdir(mode=0o700, exist_ok=True)
        _make(report, place.env, lambda: environment(name, port))
        _complete(report, place, environment(name, port))
        name, port = place.values()["SACRISTY_NAME"], int(place.values()["SACRISTY_PORT"])  # what was said at first
        for file, make in secret_files(place, name).items():
            _make(report, place.secrets / file, make)
        from sacristy.stack.ceph.bringup import make_keys  # boto3 takes 0.1 s to import
        from sacristy.stack.ceph.provision import read_plan

        plan = read_plan(settings.project / "ceph" / "store.toml")
        make_keys(settings.model_copy(update={"home": place.folder}), plan)
        for path, text in client_files(place, name, port).items():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make(report, path, lambda text=text: text)  # type: ignore[misc]
        _hand_over(place)
    except OSError as error:
        raise PathNotWritable(path=error.filename or place.folder, reason=error.strerror) from None
    return report


def _complete(report: InitReport, place: Place, wanted: str) -> None:
    """Add what a newer compose.yaml asks of .env; what it says already stays as it is."""
    known = place.values()
    lines = [line for line in wanted.splitlines() if "=" in line]
    missing = [line for line in lines if line.partition("=")[0] not in known]
    if missing:
        write_private(place.env, "\n".join([place.env.read_text().rstrip("\n"), *missing]) + "\n")
        report.made.extend(f"compose/.env: {line.partition('=')[0]}" for line in missing)


def environment(name: str, port: int) -> str:
    """Return the text of .env."""
    root = os.getuid() == 0
    values = {
        "COMPOSE_PROJECT_NAME": "sacristy",
        "COMPOSE_PROFILES": "core",
        "SACRISTY_NAME": name,
        "SACRISTY_ADDRESS": "0.0.0.0",  # noqa: S104 - the one door
        "SACRISTY_PORT": str(port),
        "SACRISTY_BASE": "python:3.11-slim-bookworm",
        "SACRISTY_UID": str(UNPRIVILEGED if root else os.getuid()),
        "SACRISTY_GID": str(UNPRIVILEGED if root else os.getgid()),
        "SACRISTY_DOCKER_SOCKET": engine_socket(),
        "SACRISTY_DOCKER_GID": str(_group_of(engine_socket())),
        "SACRISTY_STORE_GIB": "20",
    } | {f"SACRISTY_IMAGE_{image.upper()}": f"sacristy/{image}:{__version__}" for image in IMAGES}
    values |= {f"SACRISTY_IMAGE_{image.upper()}": name for image, name in PUBLISHED.items()}
    head = "# This site's own settings for compose.yaml. No secret is here. Images are built under these names."
    return "\n".join([head, *(f"{key}={value}" for key, value in values.items())]) + "\n"


def secret_files(place: Place, name: str) -> dict[str, Callable[[], str]]:
    """Return how each secret is made, in an order in which each may read those before it."""
    folder = place.secrets
    sites = (name, f"*.{name}", *LOCAL)
    files: dict[str, Callable[[], str]] = dict(secret_makers())
    files |= {f"login-{who}": lambda: secrets.token_urlsafe(24) for who in LOGINS}
    files["htpasswd"] = lambda: "".join(_login(folder, who) for who in LOGINS)
    files["rabbitmq-password"] = lambda: secrets.token_urlsafe(24)
    files["rabbitmq-definitions"] = lambda: definitions(
        (folder / "rabbitmq-password").read_text(), (folder / "login-ops").read_text()
    )
    files["watcher-token"] = lambda: (folder / "jenkins-token").read_text()  # the same one, for another user
    files[PUBLIC] = lambda: public_pem(Keys(folder / PRIVATE, folder / PUBLIC).private())
    files["authority.pem"] = lambda: _joined(new_authority(f"Sacristy at {name}"))
    files["ca.pem"] = lambda: _split((folder / "authority.pem").read_text()).certificate
    files["front.pem"] = lambda: _signed(folder, sites)
    for service in TLS_SERVICES:
        files[f"{service}.pem"] = lambda service=service: _signed(folder, (service, f"{service}.{name}", *LOCAL))  # type: ignore[misc]
    return files


def hashed(password: str) -> str:
    """Return a password's bcrypt hash, which nginx and the registry both understand."""
    crypt = _crypt()
    return str(crypt.crypt(password, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=BCRYPT_ROUNDS)))


def is_hash_of(kept: str, password: str) -> bool:
    """Say whether a hash as `hashed` makes them is that of a password."""
    return bool(kept) and _crypt().crypt(password, kept) == kept


def definitions(programs: str, ops: str) -> str:
    """Return RabbitMQ's two users by their passwords' salted hashes: who sends and takes messages, and who looks on.

    `ops` logs in to its pages with the password of the door in front of them. There is no guest.
    """
    users = [
        {"name": name, "password_hash": _salted(password), "hashing_algorithm": HASHING, "tags": tags}
        for name, password, tags in (("sacristy", programs, ""), ("ops", ops, "administrator"))
    ]
    every = {"configure": ".*", "write": ".*", "read": ".*"}
    rights = [{"user": user["name"], "vhost": "/"} | every for user in users]
    return json.dumps({"users": users, "vhosts": [{"name": "/"}], "permissions": rights})


def definitions_match(text: str, user: str, password: str) -> bool:
    """Say whether RabbitMQ's definitions have a user with this password."""
    users = {each["name"]: each["password_hash"] for each in json.loads(text)["users"]}
    return user in users and users[user] == _salted(password, base64.b64decode(users[user])[:4])


def _crypt() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import crypt
    return crypt


def _salted(password: str, salt: bytes = b"") -> str:
    salt = salt or secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def secret_mode_of(name: str) -> int:
    """Return the widest mode that a secret of the composed stack may have."""
    return 0o640 if name.startswith(JENKINS) else 0o600


def engine_socket() -> str:
    """Return the path of the engine's socket."""
    host = os.environ.get("DOCKER_HOST", "")
    return host.removeprefix("unix://") if host.startswith("unix://") else SOCKET


def _make(report: InitReport, path: Path, make: Callable[[], str]) -> None:
    made = make_secret(path, make)
    (report.made if made else report.kept).append(str(path.relative_to(path.parents[0].parent)))


def _login(folder: Path, who: str) -> str:
    return f"{who}:{hashed((folder / f'login-{who}').read_text())}\n"


def _signed(folder: Path, names: tuple[str, ...]) -> str:
    return _joined(new_certificate(names, _split((folder / "authority.pem").read_text())))


def _joined(pair: Pair) -> str:
    return pair.certificate + pair.key


def _split(text: str) -> Pair:
    certificate, begin, key = text.partition("-----BEGIN PRIVATE KEY-----")
    return Pair(certificate, begin + key)


def _group_of(path: str) -> int:
    try:
        found = os.stat(path)
    except OSError:
        return 0
    return found.st_gid if stat.S_ISSOCK(found.st_mode) else 0


def _hand_over(place: Place) -> None:
    """Let the containers' users read their secrets. The authority's key stays with who made it.

    Where root made them, each is given to its reader. Who is not root cannot do so: Jenkins' own are read by the group,
    which compose.yaml gives to it; on the host the folder keeps everybody else out.
    """
    if os.getuid() != 0:
        for path in place.secrets.glob(f"{JENKINS}*"):
            path.chmod(secret_mode_of(path.name))
        return
    values = place.values()
    for path in place.secrets.iterdir():
        if path.name != "authority.pem":
            jenkins = path.name.startswith(JENKINS)
            uid = JENKINS_USER if jenkins else int(values["SACRISTY_UID"])
            os.chown(path, uid, JENKINS_USER if jenkins else int(values["SACRISTY_GID"]))
