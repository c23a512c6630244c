"""Comparing an answer with the golden one that training recorded: in every image, and by whoever judges one."""

from __future__ import annotations

import math
from typing import Any


def difference(expected: Any, actual: Any, tolerance: float, place: str = "") -> str:
    """Say where two JSON values differ first, or return an empty string.

    Numbers may differ by `tolerance`; everything else, bool included, must be equal.
    """
    if isinstance(expected, dict) and isinstance(actual, dict) and expected.keys() == actual.keys():
        pairs = [(key, expected[key], actual[key]) for key in expected]
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = [(str(index), *pair) for index, pair in enumerate(zip(expected, actual, strict=True))]
    elif _equal(expected, actual, tolerance):
        return ""
    else:
        return f"{place or 'the answer'} is {actual!r}, expected {expected!r}"
    places = (difference(left, right, tolerance, f"{place}.{key}".lstrip(".")) for key, left, right in pairs)
    return next((text for text in places if text), "")


def _equal(expected: Any, actual: Any, tolerance: float) -> bool:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (expected, actual))
    if numbers:
        return math.isclose(expected, actual, rel_tol=0.0, abs_tol=tolerance)
    return type(expected) is type(actual) and bool(expected == actual)
