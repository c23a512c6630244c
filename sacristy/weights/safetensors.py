"""The header of a safetensors file, read with a bound and checked in full. Tensors themselves are not read.

Format: 8 bytes length n (little endian), n bytes of JSON, then the tensors' bytes without gap or overlap.
"""

from __future__ import annotations

import json
import os
from typing import Any, BinaryIO

from sacristy.weights.signatures import Refused

MAX_HEADER = 16 << 20  # bytes; some 100,000 tensors. The format itself allows 100 MB
BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}


def check(file: BinaryIO) -> dict[str, Any]:
    """Return the header, or raise Refused. NaN in tensors is allowed: nothing but the header is looked at."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 10 or length > size - 8:
        raise Refused(f"no safetensors: a header of {length} bytes in a file of {size}")
    if length > MAX_HEADER:
        raise Refused(f"a safetensors header of {length} bytes, above the limit of {MAX_HEADER}")
    header = _parse(file.read(length))
    _check_metadata(header.get("__metadata__", {}))
    tensors = {name: facts for name, facts in header.items() if name != "__metadata__"}
    _check_offsets([_span(name, facts) for name, facts in tensors.items()], size - 8 - length)
    return header


def _parse(content: bytes) -> dict[str, Any]:
    if content[:1] != b"{":
        raise Refused("no safetensors: the header does not begin with '{'")
    try:
        header = json.loads(content.decode("utf-8"), object_pairs_hook=_unique)
    except RecursionError:
        raise Refused("a safetensors header nested too deeply") from None
    except ValueError as error:
        raise Refused(f"no safetensors: the header is not JSON: {error}") from None
    return dict(header)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _check_metadata(metadata: Any) -> None:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise Refused("safetensors metadata must be texts")


def _span(name: str, facts: Any) -> tuple[int, int]:
    """Return where a tensor's bytes begin and end, or raise Refused."""
    if not isinstance(facts, dict) or set(facts) != {"dtype", "shape", "data_offsets"}:
        raise Refused(f"tensor {name[:80]!r} needs exactly dtype, shape and data_offsets")
    shape, offsets = facts["shape"], facts["data_offsets"]
    if not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2:
        raise Refused(f"tensor {name[:80]!r} has a wrong shape or wrong offsets")
    if facts["dtype"] not in BITS:
        raise Refused(f"tensor {name[:80]!r} has the unknown type {str(facts['dtype'])[:20]!r}")
    count = 1
    for side in shape:
        count *= side
        if count > 1 << 60:
            raise Refused(f"tensor {name[:80]!r} is larger than any disk")
    if offsets[1] - offsets[0] != count * BITS[facts["dtype"]] // 8:
        raise Refused(f"tensor {name[:80]!r} does not fill its bytes")
    return offsets[0], offsets[1]


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _check_offsets(spans: list[tuple[int, int]], size: int) -> None:
    end = 0
    for start, stop in sorted(spans):
        if start != end:
            raise Refused("safetensors with a gap or an overlap between tensors")
        end = stop
    if end != size:
        raise Refused(f"safetensors with {size} bytes of tensors where the header says {end}")
