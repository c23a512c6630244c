"""A request's body in chunks (RFC 9112, 7.1): read as a file, and written again. No extensions, no trailers."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}\r\n")
LONGEST = 10  # bytes of a line with a size
END, LAST = b"\r\n", b"0\r\n\r\n"


class Cut(OSError):
    """A body that ends before its last chunk, or is not in chunks."""


class Chunked(io.RawIOBase):
    """The bytes of a body. It ends where the last chunk says so, and nowhere else: reading on raises Cut."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._left, self._ended = stream, 0, False

    def readable(self) -> bool:
        """Say that it is read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as the chunk goes. Raises Cut."""
        if not self._left and not self._ended:
            self._next()
        if self._ended:
            return 0
        part = self._stream.read1(min(self._left, len(buffer)))  # type: ignore[attr-defined]
        if not part:
            raise Cut("it ends in the middle")
        buffer[: len(part)] = part
        self._left -= len(part)
        if not self._left:
            self._expect_end()
        return len(part)

    def _next(self) -> None:
        line = self._stream.readline(LONGEST)
        if not SIZE.fullmatch(line):
            raise Cut("it ends in the middle, or is not in chunks")
        self._left = int(line, 16)
        if not self._left:
            self._expect_end()
            self._ended = True

    def _expect_end(self) -> None:
        if self._stream.read(len(END)) != END:
            raise Cut("a chunk is longer than it says")


def in_chunks(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a body in chunks. The last one comes only if all parts did."""
    for part in parts:
        if part:  # an empty chunk would be the last one
            yield f"{len(part):x}\r\n".encode() + part + END
    yield LAST
