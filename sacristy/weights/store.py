"""Where blobs are kept: one interface for a folder and, later, for Ceph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from sacristy.errors import InvalidLocation

CHUNK = 4 << 20  # bytes read, hashed and written at a time
Progress = Callable[[int], None]  # called with the number of bytes done since the last call


def silent(_count: int) -> None:
    """Report no progress."""


@dataclass(frozen=True)
class Blob:
    """A stored blob. `size` in bytes, `modified` in seconds since 1970: when it was last put."""

    digest: str
    size: int
    modified: float


class Store(Protocol):
    """Blobs under their SHA-256. What is read is verified; what is written is absent or complete."""

    location: str

    def put(self, path: Path, progress: Progress = silent) -> tuple[str, int]:
        """Store a file and return its digest and size in bytes; a blob that is there is renewed.

        Raises WeightsRefused (no such file) or PathNotWritable.
        """

    def get(self, digest: str, target: Path, progress: Progress = silent) -> None:
        """Write a blob to `target`, which appears complete and verified or not at all.

        Raises BlobNotFound, BlobDamaged or PathNotWritable.
        """

    def open(self, digest: str) -> BinaryIO:
        """Return a blob's bytes as a stream that raises BlobDamaged before its last byte if they are wrong."""

    def has(self, digest: str) -> bool:
        """Say whether a blob is there."""

    def delete(self, digest: str) -> None:
        """Remove a blob; one that is not there is no error."""

    def list(self) -> Iterator[Blob]:
        """Yield every blob, in the order of the digests."""

    def clear_unfinished(self, older_than_s: float) -> int:
        """Remove what interrupted writers left behind longer ago than that, and return how many bytes that freed."""


def open_store(location: str) -> Store:
    """Return the store at a folder, or raise InvalidLocation."""
    from sacristy.weights.folder import FolderStore

    scheme, colon, _ = location.partition("://")
    if colon:
        raise InvalidLocation(location=location, reason=f"{scheme}:// is not supported")
    if not location:
        raise InvalidLocation(location=location, reason="it is empty")
    return FolderStore(Path(location))
