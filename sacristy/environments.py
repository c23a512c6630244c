"""Python environments for models: made with pipenv from a Pipfile.lock, kept once per lock."""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from sacristy.commands import run
from sacristy.errors import EnvironmentNotLocked, PathNotWritable
from sacristy.packages import pip_environment
from sacristy.settings import Settings
from sacristy.turns import turn

CATEGORIES = "packages train cuda"
LINKS = "wheels.html"
ORPHANS_END_WITHIN_S, PAUSE_S = 180.0, 0.5
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
    with turn(folder.with_name(folder.name + ".lock"), f"the environment of {lock}"):
        if environment_folder(settings, lock) != folder:  # the lock was changed while another process had its turn
            return ensure_environment(settings, lock)
        if not (folder / READY).is_file():
            _make(settings, lock, folder)
    return python


def sync_command(python: Path, categories: str) -> list[str]:
    """Return the command that installs a lock's packages, by hash, into the environment in force."""
    return [str(python), "-m", "pipenv", "sync", "--categories", categories]


def sync_environment(folder: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables under which `sync_command` fills folder/venv. `given`: those that pip has."""
    kept = {name: value for name, value in given.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    links = f"{folder / LINKS} {given.get('PIP_FIND_LINKS', '')}".strip()
    return kept | {
        "VIRTUAL_ENV": str(folder / "venv"),
        "PIPENV_PIPFILE": str(folder / "Pipfile"),
        "PIPENV_IGNORE_VIRTUALENVS": "0",
        "PIPENV_VERBOSITY": "-1",
        "PIPENV_NOSPIN": "1",
        "PIP_FIND_LINKS": links,
    }


def local_wheels(find_links: str) -> dict[str, str]:
    """Return the wheels in the folders of PIP_FIND_LINKS by path, with their digests."""
    folders = [Path(part) for part in find_links.split() if Path(part).is_dir()]
    wheels = sorted(path.resolve() for folder in folders for path in folder.glob("*.whl"))
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in wheels}


def links_page(wheels: Mapping[str, str]) -> str:
    """Return a page of wheels with their digests.

    Without a digest beside it pip passes a local wheel over for a published one, and takes 500 MB for CUDA.
    """
    links = (
        f'<a href="{Path(path).as_uri()}#sha256={digest}">{Path(path).name}</a>' for path, digest in wheels.items()
    )
    return "<!DOCTYPE html>\n<html><body>\n" + "\n".join(links) + "\n</body></html>\n"


def categories(lock: str, wheels: Mapping[str, str]) -> str:
    """Return what to install of a lock: CUDA's libraries only where torch is not a local (CPU) build."""
    local_torch = any(Path(path).name.startswith("torch-") and digest in lock for path, digest in wheels.items())
    wanted = CATEGORIES.split()
    return " ".join(name for name in wanted if name != "cuda" or ('"cuda":' in lock and not local_torch))


def _clear(folder: Path, within_s: float = ORPHANS_END_WITHIN_S) -> None:
    """Remove what a killed process left. Its installer may have outlived it and still be writing there."""
    end = time.monotonic() + within_s
    while folder.exists():
        if time.monotonic() > end:
            raise PathNotWritable(path=folder, reason="it cannot be removed, or another process writes into it")
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(PAUSE_S)  # what is there again after that is not ours


def _make(settings: Settings, lock: Path, folder: Path) -> None:
    _clear(folder)
    folder.mkdir()
    for name in ("Pipfile", "Pipfile.lock"):
        shutil.copyfile(lock.with_name(name), folder / name)
    given = pip_environment(settings)
    wheels = local_wheels(given.get("PIP_FIND_LINKS", ""))
    (folder / LINKS).write_text(links_page(wheels))
    run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")])
    command = sync_command(Path(sys.executable), categories(lock.read_text(), wheels))
    run(command, folder=folder, environment=sync_environment(folder, given))
    site = next((folder / "venv" / "lib").glob("python*/site-packages"))
    (site / "sacristy-project.pth").write_text(f"{settings.project}\n")
    (folder / READY).touch()
