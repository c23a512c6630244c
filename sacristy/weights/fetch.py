"""Bringing a run's files from the store into a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from sacristy.names import parse_file
from sacristy.weights.many import each
from sacristy.weights.store import Progress, Store, silent


class Named(Protocol):
    """A file as a run lists it."""

    @property
    def name(self) -> str:
        """Return the plain file name."""

    @property
    def digest(self) -> str:
        """Return the SHA-256 of its content."""

    @property
    def size(self) -> int:
        """Return its bytes."""


def fetch(store: Store, files: Sequence[Named], folder: Path, progress: Progress = silent) -> list[Path]:
    """Put files into a folder under their names, verified; one that is there with the right content stays.

    Returns the paths in the order of `files`. Raises InvalidName, BlobNotFound, BlobDamaged or PathNotWritable.
    """
    paths = [folder / parse_file(file.name) for file in files]

    def bring(pair: tuple[Named, Path]) -> Path:
        file, path = pair
        if path.is_symlink() or digest_of(path) != file.digest:
            store.get(file.digest, path, progress, file.size)
        return path

    return each(bring, [((file, path), file.size) for file, path in zip(files, paths, strict=True)])


def digest_of(path: Path) -> str:
    """Return the digest of a file's content, or an empty string if there is no such file, or none that can be read."""
    try:
        with path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
        return ""
