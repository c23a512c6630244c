"""What may be recorded: numbers of any library as floats, and plain values that JSON and BSON both hold."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping
from typing import Any

MOST_CHARACTERS = 1 << 20
MOST_DEPTH = 40
MOST_ITEMS = 100_000
SHOWN = 80
INT64 = range(-(2**63), 2**63)


class NotANumber(ValueError):
    """A value that cannot be a metric's value or step."""


def as_number(value: Any) -> float:
    """Return a number of any library as a float (NaN and infinities included), or raise NotANumber."""
    if isinstance(value, (str, bytes, bytearray, datetime.timedelta)):
        raise NotANumber
    try:
        item = getattr(value, "item", None)  # numpy, torch, jax and tensorflow scalars and one-element arrays
        return float(item() if callable(item) else value)
    except Exception:  # any library may raise anything; all of it means: no number
        raise NotANumber from None


def as_step(value: Any) -> int:
    """Return a whole number within 64 bits, or raise NotANumber."""
    number = value if isinstance(value, int) else as_number(value)
    if not math.isfinite(number) or int(number) != number or int(number) not in INT64:
        raise NotANumber
    return int(number)


def clean(text: str) -> str:
    """Return a text that UTF-8 can hold: lone surrogates become escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def brief(value: Any) -> str:
    """Return a value as one short line, whatever its own repr does."""
    try:
        text = repr(value)
    except Exception:
        text = object.__repr__(value)
    line = clean(" ".join(text.split()))
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"


def plain(value: Any, depth: int = 0) -> Any:
    """Return a value of any kind as JSON types that BSON holds too; what has no such form becomes its repr."""
    if value is None or isinstance(value, (bool, float)):
        return float(value) if isinstance(value, float) else value
    if isinstance(value, int):
        return int(value) if value in INT64 else brief(value)
    if isinstance(value, str):
        return _shortened(clean(value))
    if depth >= MOST_DEPTH:
        return brief(value)
    if isinstance(value, Mapping):
        return _plain_mapping(value, depth)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item, depth + 1) for item in _first(value)]
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    return _foreign(value, depth)


def key(name: Any) -> str:
    """Return a key that MongoDB and its query language take, by Sacred's own convention ('$' -> '@', '.' -> ',')."""
    text = clean(str(name)).replace("\0", "\\0").replace(".", ",")
    return "@" + text[1:] if text.startswith("$") else text


def _plain_mapping(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    for _ in range(5):
        try:
            items = list(value.items())
            break
        except RuntimeError:  # the training thread is changing it: look again
            continue
    else:
        return {}
    found: dict[str, Any] = {}
    for name, item in _first(items):
        unique = key(name)
        while unique in found:
            unique += "_"
        found[unique] = plain(item, depth + 1)
    return found


def _foreign(value: Any, depth: int) -> Any:
    for name in ("tolist", "item"):  # arrays, then scalars
        convert = getattr(value, name, None)
        if callable(convert) and getattr(value, "size", 1) != 0:
            try:
                return plain(convert(), depth + 1)
            except Exception:  # noqa: S112 - the next way is tried, and the repr is always there
                continue
    return _shortened(clean(str(value))) if hasattr(value, "__fspath__") else brief(value)


def _first(items: Iterable[Any]) -> list[Any]:
    found = list(items)
    if len(found) > MOST_ITEMS:
        return [*found[:MOST_ITEMS], f"… {len(found) - MOST_ITEMS} more left out"][:MOST_ITEMS]
    return found


def _shortened(text: str) -> str:
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]}… {len(text) - MOST_CHARACTERS} more characters left out"
