"""The header of a .npy file, checked so that numpy.load(allow_pickle=False) reads it and nothing else hides in it."""

from __future__ import annotations

import ast
import os
import re
from typing import Any, BinaryIO

from sacristy.weights.signatures import Refused

MAGIC = b"\x93NUMPY"
MAX_HEADER = 10_000  # characters, as numpy itself limits it
TYPE = re.compile(r"[<>|=]?([biufcSU])([1-9][0-9]{0,5})")


def check(file: BinaryIO) -> dict[str, Any]:
    """Return the header, or raise Refused: arrays of objects are pickles and are not allowed."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(8)
    if start[:6] != MAGIC or start[6:7] not in (b"\x01", b"\x02", b"\x03"):
        raise Refused("no npy: it does not begin as one")
    length = int.from_bytes(file.read(2 if start[6] == 1 else 4), "little")
    if length > MAX_HEADER:
        raise Refused(f"an npy header of {length} bytes, above the limit of {MAX_HEADER}")
    header = _parse(file.read(length))
    data = size - file.tell()
    if data != _bytes(header):
        raise Refused(f"an npy with {data} bytes of numbers where the header says {_bytes(header)}")
    return header


def _parse(content: bytes) -> dict[str, Any]:
    try:
        header = ast.literal_eval(content.decode("utf-8").strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise Refused("an npy header that is not a literal") from None
    if not isinstance(header, dict) or set(header) != {"descr", "fortran_order", "shape"}:
        raise Refused("an npy header that is not descr, fortran_order and shape")
    shape = header["shape"]
    if not isinstance(shape, tuple) or not all(type(side) is int and side >= 0 for side in shape):
        raise Refused("an npy header with a wrong shape")
    return header


def _bytes(header: dict[str, Any]) -> int:
    found = TYPE.fullmatch(header["descr"]) if isinstance(header["descr"], str) else None
    if found is None:
        raise Refused(f"an npy of type {str(header['descr'])[:40]!r}; only plain numbers and texts are allowed")
    count = int(found[2]) * (4 if found[1] == "U" else 1)
    for side in header["shape"]:
        count *= side
    return count
