"""Reading bytes and checking them on the way."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from typing import Any, BinaryIO

from sacristy.errors import BlobDamaged
from sacristy.weights.store import CHUNK


class VerifiedReader(io.RawIOBase):
    """A blob's bytes, hashed as they pass. Raises BlobDamaged before the last byte is handed over.

    Seeking reads on from the beginning where it goes back, so that the check stays whole.
    """

    def __init__(self, source: BinaryIO, digest: str, size: int, location: str) -> None:
        self._source = source
        self._digest = digest
        self._location = location
        self._hash = hashlib.sha256()
        self._count = 0
        self.size = size

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say whether the source is."""
        return self._source.seekable()

    def tell(self) -> int:
        """Return how many bytes were read."""
        return self._count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to an offset from the start by reading up to it."""
        if whence != io.SEEK_SET or offset < 0:
            raise io.UnsupportedOperation("only offsets from the start")
        if offset < self._count:
            self._source.seek(0)
            self._hash = hashlib.sha256()
            self._count = 0
        while self._count < offset and self.read(min(CHUNK, offset - self._count)):
            pass
        return self._count

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as there are bytes, and return how many that were."""
        view = memoryview(buffer).cast("B")
        if not view:
            return 0  # nothing was asked for: not the end
        count = self._source.readinto(view)  # type: ignore[attr-defined]  # every binary stream has it
        self._hash.update(view[:count])
        self._count += count
        if self._count >= self.size or not count:
            self._check()
        return int(count)

    def close(self) -> None:
        """Close the source too."""
        self._source.close()
        super().close()

    def _check(self) -> None:
        found = f"sha256:{self._hash.hexdigest()}"
        if found != self._digest or self._count != self.size:
            raise BlobDamaged(key=_key(self._digest), location=self._location, expected=self._digest, found=found)


def chunks(source: BinaryIO, size: int = CHUNK) -> Iterator[memoryview]:
    """Yield a stream's bytes in chunks of up to `size`, all in one buffer: use each before taking the next."""
    buffer = memoryview(bytearray(size))
    while count := source.readinto(buffer):  # type: ignore[attr-defined]
        yield buffer[:count]


def read_whole(source: BinaryIO, limit: int) -> bytes:
    """Return all bytes of a stream, of one that is longer than `limit` one more than that; a read may give fewer."""
    parts: list[bytes] = []
    rest = limit + 1
    while rest and (part := source.read(rest)):
        parts.append(part)
        rest -= len(part)
    return b"".join(parts)


def _key(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")
