"""Blobs on a node, one file for each digest: brought by pods before they serve, read by all that serve there.

The folder is laid out, and locked, as sacristy.weights.cache does it. What a server holds is not taken away.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from sacristy.errors import BlobDamaged, PathNotWritable
from sacristy.names import blob_key, parse_digest

PIECE = 1 << 20  # bytes read at a time
PART = ".part"  # of files that are not complete
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
        path = self._place(digest)
        with _told(path), self._locked(path):
            if _digest_of(path) == digest:
                os.utime(path)
                return False
            self._write(path, digest, read(), location)
            return True

    def make_room(self, sizes: Mapping[str, int]) -> int:
        """Trim before these blobs are brought: a disk that holds the limit need not hold what is to come besides.

        Those of them that are here are of use, and stay. Raises PathNotWritable.
        """
        coming = 0
        with _told(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            for digest, size in sizes.items():
                try:
                    os.utime(self._place(digest))
                except FileNotFoundError:
                    coming += size
        return self.trim(coming)

    def trim(self, coming: int = 0, now: float | None = None) -> int:
        """Remove what was longest of no use, down to the limit less what is to come; return how many bytes that freed.

        And what was left by pods that were killed while they wrote. Raises PathNotWritable.
        """
        before = (time.time() if now is None else now) - JUST_USED_S
        kept, freed = coming, 0
        with _told(self.folder):
            for used, size, path in sorted(self._facts(), reverse=True):
                kept += 0 if path.suffix else size
                over = path.suffix or (self.limit and kept > self.limit)
                if over and used < before and self._removed(path, before):
                    kept -= 0 if path.suffix else size
                    freed += size
        return freed

    def _place(self, digest: str) -> Path:
        return self.folder / parse_digest(digest).removeprefix("sha256:")

    def _facts(self) -> Iterator[tuple[float, int, Path]]:
        """Yield when each blob, and each part of one, was last of use, its size and its path."""
        for path in self.folder.iterdir():
            with suppress(FileNotFoundError):  # another pod makes room too
                if path.suffix in ("", PART) and path.is_file():
                    facts = path.stat()
                    yield facts.st_mtime, facts.st_size, path

    def _removed(self, path: Path, before: float) -> bool:
        """Remove a file unless a server holds it, or a pod has just found it to be of use; say whether it went."""
        with (
            suppress(BlockingIOError, FileNotFoundError),
            self._locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB),
            path.open("rb") as file,
        ):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_mtime < before:
                path.unlink()
                return True
        return False

    def _write(self, path: Path, digest: str, pieces: Iterable[bytes], location: str) -> None:
        with suppress(IsADirectoryError, FileNotFoundError):
            path.unlink()
        if path.is_dir():  # a kubelet makes one where it finds nothing to mount
            path.rmdir()
        new, found = self.folder / f".{path.name}{PART}", hashlib.sha256()
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
    def _locked(self, path: Path, how: int = fcntl.LOCK_EX) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        name = path.name.removeprefix(".").removesuffix(PART)
        descriptor = os.open(self.folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, how)
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


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into PathNotWritable."""
    try:
        yield
    except OSError as error:
        raise PathNotWritable(path=error.filename or path, reason=error.strerror or error) from None


def _digest_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except (FileNotFoundError, IsADirectoryError):
        return ""
