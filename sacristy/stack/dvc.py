"""DVC, which moves the data of models to and from its remote; it runs in an environment of its own (compose/dvc)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sacristy.commands import run
from sacristy.datasets import Found, Pointer, find, read_pointer
from sacristy.environments import ensure_environment, environment_folder, is_ready
from sacristy.errors import DataFileChanged, DataFileMissing, InvalidLocation, NoDataFile
from sacristy.project import load_model
from sacristy.s3 import user_keys
from sacristy.settings import Settings
from sacristy.supervision.program import write_private
from sacristy.weights.atomic import writing

REMOTE = "store"
USER = "training"
WITHIN_S = 3600
# dvc-s3's boto3 would send checksums that Ceph's releases refuse over TLS
CHECKSUMS = {
    "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
    "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
}


def status(settings: Settings, models: Sequence[str]) -> list[Found]:
    """Return where the data of each model with a data.dvc is on this machine. DVC is not needed for that."""
    pointers = [read_pointer(settings, model, _packages(settings, model)) for model in models]
    return [find(pointer) for pointer in pointers if pointer]


def pull(settings: Settings, model: str) -> Path:
    """Bring a model's data from the remote to where its data.dvc says, and return its path.

    Raises NoDataFile, CommandFailed (DVC's last line), DataFileMissing or DataFileChanged.
    """
    pointer = _pointer(settings, model)
    if find(pointer).state == "pulled":
        return pointer.path
    with _aside(pointer.path):
        _dvc(settings, ["pull", "--force", str(pointer.file)])
        return _sound(pointer).path


def push(settings: Settings, model: str) -> Path:
    """Send a model's data to the remote, from its own place or from a copy of it, and return what was sent."""
    pointer = _pointer(settings, model)
    found = _sound(pointer)
    if found.state == "copy":
        with writing(pointer.path):
            pointer.path.parent.mkdir(exist_ok=True)
            shutil.copyfile(found.path, pointer.path)
    before = pointer.file.read_bytes()
    try:
        _dvc(settings, ["commit", "--force", "--quiet", str(pointer.file)])
    finally:
        pointer.file.write_bytes(before)  # DVC writes the same content in a form of its own
    _dvc(settings, ["push", str(pointer.file)])
    return found.path


def configuration(settings: Settings) -> str:
    """Return DVC's configuration for this project's remote. No secret is in it."""
    location = settings.data_location
    scheme, colon, _ = location.partition("://")
    if colon and scheme != "s3":
        raise InvalidLocation(location=location, reason="data goes to a folder or to s3://bucket")
    remote = {"url": location, "verify": "true"}
    if colon and settings.s3_endpoint:
        remote["endpointurl"] = settings.s3_endpoint
        if settings.s3_ca:
            remote["ssl_verify"] = str(settings.s3_ca)
    sections = {
        "core": {"remote": REMOTE, "analytics": "false", "check_update": "false"},
        "cache": {"dir": str(settings.home / "dvc" / "cache"), "type": "reflink,copy"},
        f"'remote \"{REMOTE}\"'": remote,
    }
    lines = [line for name, facts in sections.items() for line in _section(name, facts)]
    return "\n".join(lines) + "\n"


def dvc_lock(settings: Settings) -> Path:
    """Return the Pipfile.lock of DVC's environment."""
    return settings.project / "compose" / "dvc" / "Pipfile.lock"


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables that DVC runs under: its configuration's folder, and the keys of the bucket."""
    folder = settings.home / "dvc"
    ours = {"DVC_GLOBAL_CONFIG_DIR": str(folder), "DVC_SITE_CACHE_DIR": str(folder / "site"), "DVC_NO_ANALYTICS": "1"}
    access, secret = user_keys(settings.home / "secrets", USER)
    if access and secret and settings.data_location.startswith("s3://"):
        ours |= {"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret}
    return os.environ | CHECKSUMS | ours


@contextmanager
def _aside(path: Path) -> Iterator[None]:
    """Put a file that somebody changed out of the way for the block; it comes back if that fails."""
    kept = path.with_name(f".{path.name}.before")
    with writing(path):
        if path.is_file():
            path.replace(kept)
    try:
        yield
    except BaseException:
        if kept.exists():
            kept.replace(path)
        raise
    kept.unlink(missing_ok=True)


def _section(name: str, facts: dict[str, str]) -> list[str]:
    return [f"[{name}]", *(f"    {key} = {value}" for key, value in facts.items())]


def _dvc(settings: Settings, words: Sequence[str]) -> str:
    python = ensure_environment(settings, dvc_lock(settings))
    folder = settings.home / "dvc"
    with writing(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(folder / "config", configuration(settings))
    argv = [str(python), "-m", "dvc", *words]
    return run(argv, folder=settings.project, environment=environment(settings), timeout_s=WITHIN_S)


def _pointer(settings: Settings, model: str) -> Pointer:
    pointer = read_pointer(settings, model, _packages(settings, model))
    if pointer is None:
        raise NoDataFile(model=model)
    return pointer


def _sound(pointer: Pointer) -> Found:
    found = find(pointer)
    if found.state == "missing":
        places = ", ".join(map(str, pointer.copies)) or "no other place"
        raise DataFileMissing(model=pointer.model, path=found.path, places=places)
    if found.state == "changed":
        raise DataFileChanged(model=pointer.model, path=found.path, found=found.found, expected=pointer.md5)
    return found


def _packages(settings: Settings, model: str) -> Path | None:
    """Return where the packages of a model's environment are, if that is made."""
    lock = load_model(settings.project, model).lock
    if not lock.is_file() or not is_ready(settings, lock):
        return None
    return next((environment_folder(settings, lock) / "venv" / "lib").glob("python*/site-packages"), None)
