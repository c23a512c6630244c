"""Blobs on a node, one file for each digest: brought by pods before they serve, read by all that serve there.

The folder is laid out, and locked, as sacristy.weights.cache does it. What a server holds is not taken away.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sacristy.errors import BlobDamaged, PathNotWritable
from sacristy.names import blob_key, parse_digest

PIECE = 1 << 20  # bytes read at a time
JUST_USED_S = 24 * 3600  # what was of use since is kept: its server may be starting


class NodeCache:
    """A folder of blobs. `limit`: the bytes that `trim` leaves, except for what is in use; 0: no limit."""

    def __init__(self, folder: Path, limit: int = 0) -> None:
        self.folder, self.limit = folder, limit

    def bring(self, digest: str, read: Callable[[], Iterable[bytes]], location: str) -> bool:
        """Make a blob be here, whole and verified; say whether it had to be read.

        One at a time of all pods of the node; who comes second finds what the first brought. A damaged one is read
        anew. Raises BlobDamaged, PathNotWritable, or what `read` raises; nothing is left then.
        """
        path = self.folder / parse_digest(digest).removeprefix("sha256:")
        try:
            with self._locked(path):
                if _digest_of(path) == digest:
                    os.utime(path)
                    return False
                self._write(path, digest, read(), location)
                return True
        except OSError as error:
            raise PathNotWritable(path=error.filename or path, reason=error.strerror or error) from None

    def trim(self, now: float | None = None) -> int:
        """Remove what was longest of no use, down to the limit; return how many bytes that freed."""
        before = (time.time() if now is None else now) - JUST_USED_S
        names = [path for path in self.folder.iterdir() if not path.suffix and path.is_file()] if self.limit else []
        facts = sorted(((path.stat().st_mtime, path.stat().st_size, path) for path in names), reverse=True)
        kept = freed = 0
        for used, size, path in facts:
            kept += size
            if kept > self.limit and used < before and _removed(path):
                kept -= size
                freed += size
        return freed

    def _write(self, path: Path, digest: str, pieces: Iterable[bytes], location: str) -> None:
        with suppress(IsADirectoryError, FileNotFoundError):
            path.unlink()
        if path.is_dir():  # a kubelet makes one where it finds nothing to mount
            path.rmdir()
        new, found = self.folder / f".{path.name}.part", hashlib.sha256()
        try:
            with new.open("wb") as file:
                for piece in pieces:
                    found.update(piece)
                    file.write(piece)
                os.fchmod(file.fileno(), 0o444)
            if f"sha256:{found.hexdigest()}" != digest:
                said = f"sha256:{found.hexdigest()}"
                raise BlobDamaged(key=blob_key(digest), location=location, expected=digest, found=said)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)

    @contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def hold(folder: Path) -> list[int]:
    """Keep the files of a folder from being removed by `trim` for as long as this process lives."""
    held = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        held.append(os.open(path, os.O_RDONLY))
        fcntl.flock(held[-1], fcntl.LOCK_SH)
    return held


def _removed(path: Path) -> bool:
    """Remove a blob unless a server holds it, and say whether it went."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        path.unlink()
    return True


def _digest_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except (FileNotFoundError, IsADirectoryError):
        return ""
