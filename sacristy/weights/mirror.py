"""Blobs from one store into another: for a move, a backup, a restore."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from sacristy.errors import BlobDamaged, BlobNotFound
from sacristy.names import blob_key
from sacristy.weights.folder import FolderStore
from sacristy.weights.store import Progress, Store, silent

AT_ONCE = 4


@dataclass
class Mirrored:
    """What a copy came to: numbers of blobs and bytes that were copied, and digests that the source could not give."""

    copied: int = 0
    bytes: int = 0
    present: int = 0
    lost: list[str] = field(default_factory=list)


def mirror(source: Store, target: Store, digests: Iterable[str] | None = None, progress: Progress = silent) -> Mirrored:
    """Copy what the target lacks: the given blobs, or all. A missing or damaged one is reported, the rest goes on."""
    wanted = sorted(set(digests)) if digests is not None else [blob.digest for blob in source.list()]
    there = {blob.digest for blob in target.list()}
    missing = [digest for digest in wanted if digest not in there]
    report = Mirrored(present=len(wanted) - len(missing))

    def copy(digest: str) -> int | None:
        try:
            return copy_blob(source, target, digest, progress)
        except (BlobDamaged, BlobNotFound):
            return None

    with ThreadPoolExecutor(AT_ONCE, "mirror") as pool:
        for digest, size in zip(missing, pool.map(copy, missing), strict=True):
            if size is None:
                report.lost.append(digest)
            else:
                report.copied += 1
                report.bytes += size
    return report


def copy_blob(source: Store, target: Store, digest: str, progress: Progress = silent) -> int:
    """Copy one blob and return its size. Raises BlobNotFound, BlobDamaged, and what the stores raise."""
    if isinstance(source, FolderStore):
        if not source.has(digest):
            raise BlobNotFound(key=blob_key(digest), location=source.location)
        return _put(source, target, digest, source.path(digest), progress)
    with tempfile.TemporaryDirectory(prefix="sacristy-") as folder:
        path = Path(folder) / "blob"
        source.get(digest, path)
        return _put(source, target, digest, path, progress)


def _put(source: Store, target: Store, digest: str, path: Path, progress: Progress) -> int:
    found, size = target.put(path, progress)
    if found != digest:  # what came stays, under its own digest: something may refer to that
        raise BlobDamaged(key=blob_key(digest), location=source.location, expected=digest, found=found)
    return size
