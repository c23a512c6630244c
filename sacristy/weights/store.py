"""Where blobs are kept: one interface for a folder and for a bucket in Ceph."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from sacristy.errors import InvalidLocation

if TYPE_CHECKING:
    from sacristy.settings import Settings

CHUNK = 512 << 10  # bytes read, hashed and written at a time: still in the processor's cache when they are written
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

    def get(self, digest: str, target: Path, progress: Progress = silent, size: int | None = None) -> None:
        """Write a blob to `target`, which appears complete and verified or not at all. `size`: its bytes, if known.

        Raises BlobNotFound, BlobDamaged or PathNotWritable.
        """

    def open(self, digest: str) -> BinaryIO:
        """Return a blob's bytes as a stream that raises BlobDamaged before its last byte if they are wrong."""

    def has(self, digest: str) -> bool:
        """Say whether a blob is there."""

    def find(self, digest: str) -> Blob | None:
        """Return one blob as `list` does, None if it is not there."""

    def delete(self, digest: str) -> None:
        """Remove a blob; one that is not there is no error."""

    def list(self) -> Iterator[Blob]:
        """Yield every blob, in the order of the digests."""

    def clear_unfinished(self, older_than_s: float) -> int:
        """Remove what interrupted writers left behind longer ago than that, and return how many bytes that freed."""


def open_store(location: str, settings: Settings | None = None, user: str = "training") -> Store:
    """Return the store at a folder or at s3://bucket, or raise InvalidLocation.

    For a bucket, `settings` (else those of this process) say where the gateway is, and `user` whose keys are used:
    training writes, serving reads, ops administers.
    """
    scheme, colon, bucket = location.partition("://")
    if not location:
        raise InvalidLocation(location=location, reason="it is empty")
    if not colon:
        from sacristy.weights.folder import FolderStore

        return FolderStore(Path(location))
    if scheme != "s3" or not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", bucket):
        reason = f"{scheme}:// is not supported" if scheme != "s3" else "a bucket has 3 to 63 of a-z, 0-9, '.' and '-'"
        raise InvalidLocation(location=location, reason=reason)
    from sacristy import settings as settings_module
    from sacristy.weights.s3 import S3Store  # boto3 takes 0.2 s to import

    return S3Store(bucket, settings or settings_module.load(), user)
