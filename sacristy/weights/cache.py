"""Blobs that this node has had before: one file for each digest, shared by processes, hashed again at each use."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from sacristy.names import parse_digest
from sacristy.weights.atomic import part, writing
from sacristy.weights.store import Progress
from sacristy.weights.verified import chunks


class Entry:
    """The place of one blob in the cache, while its lock is held."""

    def __init__(self, path: Path, digest: str) -> None:
        self._path = path
        self._digest = digest

    def give(self, target: Path, progress: Progress) -> bool:
        """Put the blob at `target` if it is here and sound; a damaged one is dropped. Raises PathNotWritable."""
        try:
            source = self._path.open("rb", buffering=0)
        except FileNotFoundError:
            return False
        found = hashlib.sha256()
        with source, part(target.parent, target.name) as file:
            for chunk in chunks(source):
                found.update(chunk)
                file.write(chunk)
            if f"sha256:{found.hexdigest()}" != self._digest:
                self._path.unlink(missing_ok=True)
                return False
            file.publish(target, kept=False)
        with suppress(FileNotFoundError):  # another process made room meanwhile
            os.utime(self._path)  # when it was last of use, for whoever makes room
        progress(target.stat().st_size)
        return True

    def keep(self, target: Path) -> None:
        """Take the file that was just put at `target`: as a second name for it, where the file system can do that.

        The cache is a convenience: where it cannot be written, nothing is said.
        """
        new = self._path.with_suffix(".part")
        with suppress(OSError):
            new.unlink(missing_ok=True)
            try:
                _link(target, new)
                new.replace(self._path)
            finally:  # half a copy would fill the disk that refused the other half
                new.unlink(missing_ok=True)


class Cache:
    """A folder of blobs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def entry(self, digest: str) -> Iterator[Entry]:
        """Give a blob's place to one process at a time: who comes second finds what the first brought."""
        name = parse_digest(digest).removeprefix("sha256:")
        with writing(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FileLock(self.folder / f"{name}.lock")
            lock.acquire()
        try:
            yield Entry(self.folder / name, digest)
        finally:
            lock.release()

    def forget(self, digest: str) -> None:
        """Drop a blob."""
        name = parse_digest(digest).removeprefix("sha256:")
        for path in (self.folder / name, self.folder / f"{name}.lock"):
            path.unlink(missing_ok=True)

    def trim(self, limit: int) -> int:
        """Drop the blobs that were longest of no use until `limit` bytes are left; return how many that freed."""
        facts: list[tuple[float, int, Path]] = []
        for path in self.folder.glob("*"):
            with suppress(FileNotFoundError):  # another process makes room too
                facts += [] if path.suffix else [(path.stat().st_mtime, path.stat().st_size, path)]
        kept = freed = 0
        for _, size, path in sorted(facts, reverse=True):
            kept += size
            if kept > limit:
                path.unlink(missing_ok=True)
                freed += size
        return freed


def _link(target: Path, new: Path) -> None:
    try:
        os.link(target, new)
    except OSError:  # another file system
        shutil.copyfile(target, new)
