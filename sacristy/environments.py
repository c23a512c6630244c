"""Python environments for models: made with pipenv from a Pipfile.lock, kept once per lock."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

from filelock import FileLock

from sacristy.commands import run
from sacristy.errors import EnvironmentNotLocked, PathNotWritable
from sacristy.settings import Settings

CATEGORIES = "packages train"
READY = "ready"  # written last: a folder without it was interrupted and is made anew


def environment_folder(settings: Settings, lock: Path) -> Path:
    """Return the folder of the environment for a Pipfile.lock, made or not. Raises EnvironmentNotLocked."""
    if not lock.is_file() or not lock.with_name("Pipfile").is_file():
        raise EnvironmentNotLocked(path=lock)
    return settings.environments_folder / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]


def is_ready(settings: Settings, lock: Path) -> bool:
    """Say whether the environment for a Pipfile.lock exists already."""
    return (environment_folder(settings, lock) / READY).is_file()


def ensure_environment(settings: Settings, lock: Path) -> Path:
    """Return the Python of the environment for a Pipfile.lock, making it first where needed (about a minute).

    Raises EnvironmentNotLocked, CommandFailed (pipenv's last line) or PathNotWritable.
    """
    folder = environment_folder(settings, lock)
    python = folder / "venv" / "bin" / "python"
    if (folder / READY).is_file():
        return python
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PathNotWritable(path=folder.parent, reason=error.strerror) from None
    with FileLock(str(folder) + ".lock"):
        if not (folder / READY).is_file():
            _make(settings, lock, folder)
    return python


def sync_command(python: Path) -> list[str]:
    """Return the command that installs a lock's packages, by hash, into the environment in force."""
    return [str(python), "-m", "pipenv", "sync", "--categories", CATEGORIES]


def sync_environment(folder: Path) -> dict[str, str]:
    """Return the environment variables under which `sync_command` fills folder/venv."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return kept | {
        "VIRTUAL_ENV": str(folder / "venv"),
        "PIPENV_PIPFILE": str(folder / "Pipfile"),
        "PIPENV_IGNORE_VIRTUALENVS": "0",
        "PIPENV_VERBOSITY": "-1",
        "PIPENV_NOSPIN": "1",
    }


def _make(settings: Settings, lock: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in ("Pipfile", "Pipfile.lock"):
        shutil.copyfile(lock.with_name(name), folder / name)
    run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")])
    run(sync_command(Path(sys.executable)), folder=folder, environment=sync_environment(folder))
    site = next((folder / "venv" / "lib").glob("python*/site-packages"))
    (site / "sacristy-project.pth").write_text(f"{settings.project}\n")
    (folder / READY).touch()
