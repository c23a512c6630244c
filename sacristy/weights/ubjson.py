"""A UBJSON file, as XGBoost saves its models: one object that fills the file, walked without being built."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from sacristy.weights.signatures import Refused

SIZES = {b"Z": 0, b"N": 0, b"T": 0, b"F": 0, b"i": 1, b"U": 1, b"I": 2, b"l": 4, b"L": 8, b"d": 4, b"D": 8, b"C": 1}
INTEGERS = {b"i": ">b", b"U": ">B", b"I": ">h", b"l": ">i", b"L": ">q"}
MAX_DEPTH = 64
MAX_VALUES = 5_000_000
MAX_KEY = 4096


class _Walk:
    """One pass over a file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._values = 0

    def value(self, kind: bytes, depth: int) -> None:
        """Go over one value whose type marker was read."""
        self._values += 1
        if depth > MAX_DEPTH or self._values > MAX_VALUES:
            raise Refused("a UBJSON file with too many or too deeply nested values")
        if kind in SIZES:
            self._skip(SIZES[kind])
        elif kind in (b"S", b"H"):
            self._skip(self._length())
        elif kind in (b"[", b"{"):
            self._container(kind, depth)
        else:
            raise Refused(f"no UBJSON: the type {kind!r} at byte {self._file.tell() - 1}")

    def _container(self, kind: bytes, depth: int) -> None:
        end = b"]" if kind == b"[" else b"}"
        marker = self._byte()
        inner = b""
        if marker == b"$":
            inner, marker = self._byte(), self._byte()
            if marker != b"#":
                raise Refused("no UBJSON: a type without a count")
        if marker == b"#":
            self._counted(kind, inner, self._length(), depth)
            return
        while marker != end:
            if kind == b"{":
                self._key(marker)
                marker = self._byte()
            self.value(marker, depth + 1)
            marker = self._byte()

    def _counted(self, kind: bytes, inner: bytes, count: int, depth: int) -> None:
        if kind == b"[" and inner in SIZES:
            self._skip(count * SIZES[inner])  # an array of numbers
            return
        for _ in range(count):
            if kind == b"{":
                self._key(self._byte())
            self.value(inner or self._byte(), depth + 1)

    def _key(self, marker: bytes) -> None:
        length = self._integer(marker)
        if length > MAX_KEY:
            raise Refused(f"no UBJSON: a key of {length} bytes")
        self._skip(length)

    def _length(self) -> int:
        return self._integer(self._byte())

    def _integer(self, marker: bytes) -> int:
        if marker not in INTEGERS:
            raise Refused(f"no UBJSON: {marker!r} where a length belongs")
        (value,) = struct.unpack(INTEGERS[marker], self._bytes(SIZES[marker]))
        if value < 0:
            raise Refused("no UBJSON: a negative length")
        return int(value)

    def _byte(self) -> bytes:
        return self._bytes(1)

    def _bytes(self, count: int) -> bytes:
        content = self._file.read(count)
        if len(content) != count:
            raise Refused("no UBJSON: it ends too early")
        return content

    def _skip(self, count: int) -> None:
        if count > self._size - self._file.tell():
            raise Refused("no UBJSON: it ends too early")
        self._file.seek(count, os.SEEK_CUR)


def check(file: BinaryIO) -> None:
    """Raise Refused unless the file is one UBJSON object and nothing else."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    first = file.read(1)
    if first != b"{":
        raise Refused("no UBJSON: it does not begin with an object")
    _Walk(file, size).value(first, 0)
    if file.tell() != size:
        raise Refused(f"UBJSON with {size - file.tell()} bytes behind it")
