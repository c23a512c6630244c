"""Comparing an answer with the golden one that training recorded."""

from __future__ import annotations

import math
from typing import Any


def difference(expected: Any, found: Any, tolerance: float, where: str = "prediction") -> str | None:
    """Return the first difference between two JSON values as one line, or None if they agree.

    Numbers agree when they differ by at most `tolerance`; everything else must be equal.
    """
    if _is_number(expected) and _is_number(found):
        if math.isclose(expected, found, rel_tol=0, abs_tol=tolerance):
            return None
        return f"{where} is {found!r}, expected {expected!r}"
    if isinstance(expected, dict) and isinstance(found, dict):
        if expected.keys() != found.keys():
            return f"{where} has the keys {sorted(found)}, expected {sorted(expected)}"
        pairs = [(expected[key], found[key], f"{where}.{key}") for key in expected]
        return _first(pairs, tolerance)
    if isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            return f"{where} has {len(found)} entries, expected {len(expected)}"
        return _first(
            [(a, b, f"{where}[{i}]") for i, (a, b) in enumerate(zip(expected, found, strict=True))], tolerance
        )
    return None if expected == found else f"{where} is {found!r}, expected {expected!r}"


def _first(pairs: list[tuple[Any, Any, str]], tolerance: float) -> str | None:
    found = (difference(a, b, tolerance, where) for a, b, where in pairs)
    return next((line for line in found if line), None)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
