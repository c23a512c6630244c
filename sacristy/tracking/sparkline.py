"""A curve in one line of text."""

from __future__ import annotations

import math
from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int = 24) -> str:
    """Return at most `width` bars for a series; what is not finite is a blank."""
    if not values:
        return ""
    step = max(1, math.ceil(len(values) / width))
    shown = [values[min(start + step, len(values)) - 1] for start in range(0, len(values), step)]
    finite = [value for value in shown if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    return "".join(_bar(value, low, high) for value in shown)


def _bar(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return " "
    # halves: the distance of two finite values can be infinite
    share = (value / 2 - low / 2) / (high / 2 - low / 2) if high / 2 > low / 2 else 0.5
    return BARS[min(int(share * len(BARS)), len(BARS) - 1)]
