"""Which files are safe to keep as weights: an allow-list, checked by content before anything is stored.

A name only says what a file claims to be; its bytes must prove it. Nothing here executes, unpacks or loads
what it checks, and memory stays below a few times MAX_DOCUMENT whatever the file's size.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from sacristy.errors import WeightsRefused
from sacristy.weights import npy, onnx, safetensors, ubjson
from sacristy.weights.signatures import Refused, ends_as_zip, looks_like

MAX_DOCUMENT = 32 << 20  # bytes of one JSON document: a whole .json, or one line of a .jsonl
READ = 1 << 20


def check_file(path: Path) -> str:
    """Return a file's format (safetensors, npy, onnx, ubj, json, jsonl or txt), or raise WeightsRefused saying why.

    Refused are also links, folders and devices, and whatever looks like a pickle, an archive or a program.
    """
    if path.is_symlink() or not path.is_file():
        raise WeightsRefused(path=path, reason="it is not a regular file")
    suffix = path.suffix.removeprefix(".")
    try:
        with path.open("rb") as file:
            _check(file, suffix)
    except Refused as refused:
        raise WeightsRefused(path=path, reason=refused) from None
    except OSError as error:
        raise WeightsRefused(path=path, reason=error.strerror) from None
    return suffix


def _check(file: BinaryIO, suffix: str) -> None:
    """Check the claim first, since any first bytes can be the length that begins a safetensors file."""
    try:
        if suffix not in CHECKS:
            raise Refused(f"the name does not end in one of {', '.join(CHECKS)}")
        CHECKS[suffix](file)
    except Refused as refused:
        foreign = looks_like(file)
        raise Refused(f"its content looks like {foreign}" if foreign else str(refused)) from None
    foreign = looks_like(file) if suffix == "txt" else "a zip archive too" if ends_as_zip(file) else ""
    if foreign:
        raise Refused(f"its content looks like {foreign}")


def _json(file: BinaryIO) -> None:
    content = file.read(MAX_DOCUMENT + 1)
    if len(content) > MAX_DOCUMENT:
        raise Refused(f"a JSON document of more than {MAX_DOCUMENT >> 20} MiB; use .jsonl")
    _document(content, "")


def _jsonl(file: BinaryIO) -> None:
    number = 0
    while line := file.readline(MAX_DOCUMENT + 1):
        number += 1
        if len(line) > MAX_DOCUMENT:
            raise Refused(f"line {number} has more than {MAX_DOCUMENT >> 20} MiB")
        _document(line, f"line {number}: ")


def _text(file: BinaryIO) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while content := file.read(READ):
            if "\0" in decoder.decode(content):
                raise Refused("a text file with zero bytes")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise Refused(f"not UTF-8 ({error.reason})") from None


def _document(content: bytes, where: str) -> None:
    try:
        json.loads(content.decode("utf-8"), parse_constant=_no_constant)
    except RecursionError:
        raise Refused(f"{where}nested too deeply") from None
    except ValueError as error:  # also UnicodeDecodeError
        raise Refused(f"{where}not JSON: {error}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not in JSON")


CHECKS: dict[str, Callable[[BinaryIO], Any]] = {
    "safetensors": safetensors.check,
    "npy": npy.check,
    "onnx": onnx.check,
    "ubj": ubjson.check,
    "json": _json,
    "jsonl": _jsonl,
    "txt": _text,
}
