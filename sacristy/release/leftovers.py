"""What this machine keeps of images and can have again: versions built here, and images unpacked to be run."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from sacristy.images import garbage
from sacristy.images.base import is_environment
from sacristy.images.garbage import GRACE_S
from sacristy.images.layout import FolderRegistry
from sacristy.names import Version
from sacristy.weights.atomic import writing

UNPACKED = re.compile(r"(?P<model>[a-z][a-z0-9-]*)-(?P<digest>[0-9a-f]{16})")  # as the process target names them
HALF = re.compile(rf"\.({UNPACKED.pattern}|away)\.\w+")  # of a process that was killed while it unpacked or removed it


@dataclass(frozen=True)
class BuiltHere:
    """A version built here that newer ones have followed. `size` in bytes, shared layers included."""

    model: str
    version: Version
    digest: str
    size: int


@dataclass(frozen=True)
class Unpacked:
    """An image's files that no process runs in. `size` in bytes."""

    folder: Path
    size: int


def built_here(built: FolderRegistry, keep: int, running: Set[str]) -> list[BuiltHere]:
    """Return what may go: all but each model's newest `keep` versions and what answers now (`running`: digests).

    Environment images stay. A version that went is in the registry if it was pushed, or built again to the same digest.
    """
    return [
        BuiltHere(model, version, digest, built.size(model, digest))
        for model in built.repositories()
        if not is_environment(model)
        for version, digest in sorted(built.versions(model).items(), reverse=True)[keep:]
        if digest not in running and digest not in _newest(built, model, keep)
    ]


def unpacked(folder: Path, running: Set[str], grace_s: float = GRACE_S) -> list[Unpacked]:
    """Return what may go of the folders that the process target made: old, not of what answers, no process in it.

    What is half there goes when it is old.
    """
    before = time.time() - grace_s
    answering = {digest.removeprefix("sha256:")[:16] for digest in running}
    lived_in = _folders_of_processes()
    return [
        Unpacked(path, sum(file.stat().st_size for file in path.rglob("*") if file.is_file()))
        for path in sorted(folder.glob("*"))
        if _is_ours(path.name, answering)
        and path.stat().st_mtime < before
        and not any(path == place or path in place.parents for place in lived_in)
    ]


def remove(built: FolderRegistry, versions: Iterable[BuiltHere], folders: Iterable[Unpacked], grace_s: float) -> int:
    """Remove them, and blobs built here that nothing uses any more; return how many bytes that freed."""
    freed = 0
    for version in versions:
        built.delete_manifest(version.model, version.digest)
    for model in built.repositories():
        if not is_environment(model):
            freed += garbage.collect(built, model, {}, grace_s).bytes
    for folder in folders:
        _remove_folder(folder.folder)
        freed += folder.size
    return freed


def _is_ours(name: str, answering: Set[str]) -> bool:
    found = UNPACKED.fullmatch(name)
    return found["digest"] not in answering if found else HALF.fullmatch(name) is not None


def _newest(built: FolderRegistry, model: str, keep: int) -> set[str]:
    return {digest for _, digest in sorted(built.versions(model).items(), reverse=True)[:keep]}


def _folders_of_processes() -> list[Path]:
    places = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            places.append(Path(process.cwd()))
    return places


def _remove_folder(folder: Path) -> None:
    """Take it out of its place first: who wants it meanwhile unpacks it anew, and never finds half of it."""
    with writing(folder):
        away = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".away."))
        with suppress(FileNotFoundError):
            folder.rename(away / folder.name)
        shutil.rmtree(away)
