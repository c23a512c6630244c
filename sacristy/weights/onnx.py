"""An ONNX file: a protobuf message that is walked without its library, tensors skipped, nothing hidden between fields.

Refused besides what is no ONNX: tensors that name other files to be read (`external_data`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

from sacristy.weights.signatures import Refused

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # protobuf's ways to write a field
IR_VERSION, GRAPH, OPSETS = 1, 7, 8
MODEL_FIELDS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26})
# For each message the fields that hold messages to look into; the numbers are those of onnx.proto
INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
EXTERNAL_DATA, DATA_LOCATION = 13, 14
MAX_DEPTH = 24
MAX_FIELDS = 2_000_000
LARGEST_IR_VERSION = 99


class _Walk:
    """One pass over the fields of a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._fields = 0

    def fields(self, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield number, way and value (for BYTES: the length) of each field up to `end`, and go on behind it."""
        while (at := self._file.tell()) < end:
            self._fields += 1
            if self._fields > MAX_FIELDS:
                raise Refused(f"no ONNX: more than {MAX_FIELDS:,} fields")
            number, way = divmod(self._varint(end), 8)
            if way not in (VARINT, FIXED64, BYTES, FIXED32) or not number:
                raise Refused(f"no ONNX: a broken field at byte {at}")
            value = self._varint(end) if way in (VARINT, BYTES) else 0
            start = self._file.tell()
            behind = start + {VARINT: 0, FIXED64: 8, FIXED32: 4, BYTES: value}[way]
            if behind > end:
                raise Refused(f"no ONNX: the field at byte {at} goes beyond its end")
            yield number, way, value
            self._file.seek(behind)

    def look(self, kind: str, end: int, depth: int = 0) -> None:
        """Look for references to other files in a message and those in it."""
        if depth > MAX_DEPTH:
            raise Refused("an ONNX file nested too deeply")
        for number, way, value in self.fields(end):
            if kind == "tensor" and (number == EXTERNAL_DATA or (number == DATA_LOCATION and value)):
                raise Refused("an ONNX file whose tensors are in other files; save it as one file")
            inside = INSIDE[kind].get(number)
            if inside and way == BYTES:
                self.look(inside, self._file.tell() + value, depth + 1)

    def _varint(self, end: int) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._file.read(1) if self._file.tell() < end else b""
            if not byte:
                break
            value |= (byte[0] & 0x7F) << shift
            if byte[0] < 0x80:
                return value
        raise Refused("no ONNX: a number that does not end")


def check(file: BinaryIO) -> None:
    """Raise Refused unless the file is one ONNX model that needs no other file."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    found: dict[int, int] = {}
    for number, way, value in _Walk(file).fields(size):
        if number not in MODEL_FIELDS:
            raise Refused(f"no ONNX: a model has no field {number}")
        found[number] = value if way == VARINT else way
    if not 1 <= found.get(IR_VERSION, 0) <= LARGEST_IR_VERSION:
        raise Refused("no ONNX: it does not begin as one")
    if found.get(GRAPH) != BYTES or found.get(OPSETS) != BYTES:
        raise Refused("no ONNX: a model without graph or operator set")
    file.seek(0)
    _Walk(file).look("model", size)
