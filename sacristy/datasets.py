"""The data a model is trained on: models/<name>/data.dvc says which file that is, and where a copy may lie.

data.dvc is DVC's own; below `meta` it names places where the same file can be had without DVC: `shipped` inside an
installed package, `local` in the folder that SACRISTY_DATA names. Read here without DVC and without YAML, since every
model's environment checks its data before a run begins.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sacristy.errors import DataFileChanged, DataFileMissing, InvalidDataFile
from sacristy.settings import Settings

POINTER = "data.dvc"
LINE = re.compile(r"[\s-]*([a-z0-9_]+):\s+(\S.*?)\s*")


@dataclass(frozen=True)
class Pointer:
    """What data.dvc says. `path` is where `sacristy data pull` puts the file; `copies` are where else it may be.

    `shipped`: one of them is inside a package of the model's environment.
    """

    model: str
    file: Path
    path: Path
    md5: str
    size: int
    copies: tuple[Path, ...]
    shipped: bool = False


@dataclass(frozen=True)
class Found:
    """Where a model's data is: `state` is pulled, copy, changed or missing; `found` is the MD5 of a changed one."""

    pointer: Pointer
    state: str
    path: Path
    found: str = ""


def read_pointer(settings: Settings, model: str, packages: Path | None = None) -> Pointer | None:
    """Return what a model's data.dvc says, or None if it has none. Raises InvalidDataFile.

    `packages`: the site-packages of the model's environment; this process's own if not given.
    """
    file = settings.project / "models" / model / POINTER
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    facts = {str(found[1]): str(found[2]) for line in lines if (found := LINE.fullmatch(line))}
    for key, pattern in (("md5", "[0-9a-f]{32}"), ("size", "[0-9]+"), ("path", r"(?!.*\.\.)[\w./-]+")):
        if not re.fullmatch(pattern, facts.get(key, "")):
            raise InvalidDataFile(path=file, reason=f"{key} is {facts.get(key, 'missing')!r}; one plain file is wanted")
    copies = tuple(_copies(facts, settings, packages))
    return Pointer(
        model, file, file.parent / facts["path"], facts["md5"], int(facts["size"]), copies, "shipped" in facts
    )


def find(pointer: Pointer) -> Found:
    """Say where the data is. A file at its own place decides; else the first copy that is the right one."""
    if pointer.path.exists():
        return _judged(pointer, pointer.path, "pulled")
    judged = [_judged(pointer, copy, "copy") for copy in pointer.copies if copy.is_file()]
    right = [found for found in judged if found.state == "copy"]
    return (right or judged or [Found(pointer, "missing", pointer.path)])[0]


def require(settings: Settings, model: str) -> None:
    """Raise DataFileMissing or DataFileChanged unless the data that data.dvc names is on this machine."""
    pointer = read_pointer(settings, model)
    if pointer is None:
        return
    found = find(pointer)
    if found.state == "missing":
        places = ", ".join(map(str, pointer.copies))
        raise DataFileMissing(model=model, path=found.path, places=places or "no other place")
    if found.state == "changed":
        raise DataFileChanged(model=model, path=found.path, found=found.found, expected=pointer.md5)


def md5_of(path: Path) -> str:
    """Return a file's MD5, by which DVC knows it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _copies(facts: dict[str, str], settings: Settings, packages: Path | None) -> Iterator[Path]:
    if settings.data and "local" in facts:
        yield settings.data / facts["local"]
    if "shipped" in facts:
        yield (packages or _own_packages()) / facts["shipped"]


def _own_packages() -> Path:
    return Path(sys.prefix) / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


def _judged(pointer: Pointer, path: Path, state: str) -> Found:
    if path.is_file() and path.stat().st_size == pointer.size and (found := md5_of(path)) == pointer.md5:
        return Found(pointer, state, path)
    found = md5_of(path) if path.is_file() else "no file"
    return Found(pointer, "changed", path, found)
