"""95 % intervals: of a share (Wilson), of the difference of two shares (Newcombe), of the difference of two means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

Z = 1.959964  # 95 %, both sides


@dataclass(frozen=True)
class Sample:
    """The count, sum and sum of squares of measured values."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float | None:
        """The mean, or None of nothing."""
        return self.total / self.n if self.n else None

    @property
    def variance_of_mean(self) -> float:
        """The variance of the mean, not below 0."""
        if self.n < 2:
            return 0.0
        return max(0.0, (self.squares - self.total**2 / self.n) / (self.n - 1)) / self.n


def share(hits: int, n: int) -> dict[str, Any]:
    """Return a share with Wilson's interval, which stays within 0 and 1 and is right for few or extreme counts too."""
    if not n:
        return {"value": None, "low": None, "high": None, "n": 0}
    low, high = _wilson(hits, n)
    return {"value": hits / n, "low": low, "high": high, "n": n}


def shares_differ(hits_a: int, n_a: int, hits_b: int, n_b: int) -> dict[str, Any]:
    """Return two shares and b - a with Newcombe's interval (his method 10, from Wilson's limits)."""
    if not n_a or not n_b:
        return _difference(hits_a / n_a if n_a else None, hits_b / n_b if n_b else None, None, n_a, n_b)
    a, b = hits_a / n_a, hits_b / n_b
    (low_a, high_a), (low_b, high_b) = _wilson(hits_a, n_a), _wilson(hits_b, n_b)
    below = math.hypot(b - low_b, high_a - a)
    above = math.hypot(high_b - b, a - low_a)
    return _difference(a, b, (below, above), n_a, n_b)


def means_differ(a: Sample, b: Sample) -> dict[str, Any]:
    """Return two means and b - a with the interval of large samples (Welch's, by the normal distribution)."""
    margin = Z * math.sqrt(a.variance_of_mean + b.variance_of_mean)
    known = a.n > 1 and b.n > 1
    return _difference(a.mean, b.mean, (margin, margin) if known else None, a.n, b.n)


def _difference(
    a: float | None, b: float | None, margins: tuple[float, float] | None, n_a: int, n_b: int
) -> dict[str, Any]:
    gap = b - a if a is not None and b is not None else None
    low, high = (gap - margins[0], gap + margins[1]) if gap is not None and margins else (None, None)
    return {"a": a, "b": b, "difference": gap, "low": low, "high": high, "n_a": n_a, "n_b": n_b}


def _wilson(hits: int, n: int) -> tuple[float, float]:
    p, square = hits / n, Z * Z
    middle = (p + square / (2 * n)) / (1 + square / n)
    margin = Z / (1 + square / n) * math.sqrt(p * (1 - p) / n + square / (4 * n * n))
    return max(0.0, middle - margin), min(1.0, middle + margin)
