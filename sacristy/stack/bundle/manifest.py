"""manifest.json of a bundle: every file with its SHA-256, every image with the engine's name and identity for it.

It is written last, so that a bundle whose making was interrupted has none. Its own digest is what a carrier compares.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sacristy.errors import BundleDamaged, NoBundle
from sacristy.weights.atomic import write_file

NAME = "manifest.json"
SCHEMA = 1
IGNORED = {NAME, "images/.lock"}


@dataclass(frozen=True)
class File:
    """A file of the bundle; `path` relative to it, `sha256` in hexadecimal."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class BundledImage:
    """`id`: the digest of its configuration, which engines know it by. `digest`: of its manifest in images/."""

    name: str
    id: str
    digest: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """What a bundle holds. `commit`: the project's, for whose locks the packages are."""

    sacristy: str
    commit: str
    files: list[File] = field(default_factory=list)
    images: list[BundledImage] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(file.bytes for file in self.files)


def hashed(folder: Path, advance: Callable[[int], None] = lambda _: None) -> list[File]:
    """Return every file of a bundle; `advance` is told the bytes read."""
    return [hash_file(folder, path, advance) for path in sorted(paths_in(folder))]


def paths_in(folder: Path) -> set[str]:
    """Return the paths of all files of a bundle, but for its manifest."""
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() or path.is_symlink()}
    return found - IGNORED


def hash_file(folder: Path, path: str, advance: Callable[[int], None]) -> File:
    """Return one file with its SHA-256. Raises BundleDamaged if it cannot be read, or is a link."""
    total, size = hashlib.sha256(), 0
    if (folder / path).is_symlink():
        raise BundleDamaged(path=folder / path, reason="a link, which bundles have none of")
    try:
        with (folder / path).open("rb") as stream:
            while chunk := stream.read(1 << 20):
                total.update(chunk)
                size += len(chunk)
                advance(len(chunk))
    except OSError as error:
        raise BundleDamaged(path=folder / path, reason=error.strerror or "unreadable") from None
    return File(path, size, total.hexdigest())


def write_manifest(folder: Path, manifest: Manifest) -> str:
    """Write the manifest and return its own digest."""
    content = json.dumps({"schema": SCHEMA} | asdict(manifest), indent=1, sort_keys=True).encode()
    write_file(folder / NAME, content)
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def read_manifest(folder: Path, expected: str = "") -> Manifest:
    """Return the manifest, if it is the one whose digest is `expected`. Raises NoBundle or BundleDamaged."""
    try:
        content = (folder / NAME).read_bytes()
    except OSError as error:
        raise NoBundle(folder=folder, reason=f"{NAME}: {error.strerror}") from None
    found = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if expected and found != expected:
        raise BundleDamaged(path=folder / NAME, reason=f"it is {found}, not {expected}")
    try:
        return _manifest(json.loads(content))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BundleDamaged(path=folder / NAME, reason=f"not understood ({error})") from None


def verify(folder: Path, manifest: Manifest, advance: Callable[[int], None] = lambda _: None) -> None:
    """Read every file and compare it with the manifest; none may be missing, none may be there besides.

    Raises BundleDamaged for the first that differs.
    """
    listed = {file.path for file in manifest.files}
    present = paths_in(folder)
    for paths, reason in ((listed - present, "it is missing"), (present - listed, "the manifest does not list it")):
        for path in sorted(paths)[:1]:
            raise BundleDamaged(path=folder / path, reason=reason)
    for file in manifest.files:
        found = hash_file(folder, file.path, advance)
        if found != file:
            what = f"{found.bytes} bytes with SHA-256 {found.sha256[:12]}"
            raise BundleDamaged(path=folder / file.path, reason=f"{what}, not {file.bytes} with {file.sha256[:12]}")


def _manifest(document: dict[str, Any]) -> Manifest:
    if document.pop("schema") != SCHEMA:
        raise ValueError(f"it is of another schema than {SCHEMA}")
    files = [File(**each) for each in document.pop("files")]
    images = [BundledImage(**each) for each in document.pop("images")]
    if outside := [file.path for file in files if Path(file.path).is_absolute() or ".." in Path(file.path).parts]:
        raise ValueError(f"{outside[0]} is outside of the bundle")
    return Manifest(**document, files=files, images=images)
