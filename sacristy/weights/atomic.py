"""Files that appear complete or not at all: written beside their place, flushed to the disk, then renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from sacristy.errors import PathNotWritable

SUFFIX = ".part"  # of files that are not complete


class Part:
    """A file being written, not in its place yet."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append bytes."""
        return self._file.write(data)

    def publish(self, target: Path, mode: int = 0o644, *, kept: bool = True) -> None:
        """Put the file in its place, replacing what is there: at once, whole.

        `kept`: it survives a power cut too. What can be had again need not wait for the disk.
        """
        self._file.flush()
        os.fchmod(self._file.fileno(), mode)
        if kept:
            os.fsync(self._file.fileno())
        self._path.replace(target)
        if kept:
            sync_folder(target.parent)


@contextmanager
def part(folder: Path, name: str) -> Iterator[Part]:
    """Give a file to write in a folder; it is removed at the end of the block unless it was published.

    Raises PathNotWritable for whatever the operating system refuses in the block.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, path = tempfile.mkstemp(dir=folder, prefix=f".{name}.", suffix=SUFFIX)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield Part(cast("BinaryIO", file), Path(path))
        finally:
            Path(path).unlink(missing_ok=True)


def write_file(target: Path, content: bytes) -> None:
    """Replace a small file atomically. Raises PathNotWritable."""
    with part(target.parent, target.name) as file:
        file.write(content)
        file.publish(target)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals (no right, no space) into PathNotWritable."""
    try:
        yield
    except OSError as error:
        raise PathNotWritable(path=error.filename or path, reason=error.strerror or error) from None
