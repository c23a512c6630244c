"""A series of any length as at most a few thousand points that draw the same curve."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_BUCKETS = 4998  # two points of each, the first and the last one: under 10,000
FIRST_WIDTH = 4  # points of a bucket when there are too many of them to keep all
Point = tuple[int, int, float, int]  # its place in the series, step, value, time


@dataclass
class Outline:
    """Keeps all points while they are few; then the lowest and the highest of each of `most` (even) buckets.

    When all buckets are full, pairs are merged. Every extreme is therefore kept exactly, and so are the first and the
    last point. The outcome depends on the points alone, not on how they arrived; adding one costs the same at the end
    as at the beginning.
    """

    most: int = MOST_BUCKETS
    count: int = 0
    _width: int = 1
    _filled: int = 0  # points in the last bucket
    _index: array[int] = field(default_factory=lambda: array("q"))  # two entries for each bucket: lowest, highest
    _steps: array[int] = field(default_factory=lambda: array("q"))
    _values: array[float] = field(default_factory=lambda: array("d"))
    _times: array[int] = field(default_factory=lambda: array("q"))
    _first: Point = (-1, 0, 0.0, 0)
    _last: Point = (-1, 0, 0.0, 0)

    def extend(self, steps: Sequence[int], values: Sequence[float], times: Sequence[int]) -> None:
        """Add the next points of the series."""
        if not len(values):
            return
        if not self.count:
            self._first = (0, steps[0], values[0], times[0])
        if self._width == 1:
            self._keep(steps, values, times)
        else:
            self._sort_in(steps, values, times)
        self._last = (self.count - 1, steps[-1], values[-1], times[-1])

    @property
    def last(self) -> float | None:
        """The last value, or None before the first."""
        return self._last[2] if self.count else None

    def points(self) -> tuple[list[int], list[float], list[int]]:
        """Return steps, values and times, in the order in which they were added."""
        if self._width == 1:
            return list(self._steps), list(self._values), list(self._times)
        chosen = {index: place for place, index in enumerate(self._index)}
        places = [chosen[index] for index in sorted(chosen)]
        points = [(self._index[i], self._steps[i], self._values[i], self._times[i]) for i in places]
        if self._first[0] not in chosen:
            points.insert(0, self._first)
        if self._last[0] not in chosen:
            points.append(self._last)
        return [p[1] for p in points], [p[2] for p in points], [p[3] for p in points]

    def _keep(self, steps: Sequence[int], values: Sequence[float], times: Sequence[int]) -> None:
        """Add points while all are kept; when they become too many, sort all of them into buckets."""
        self._steps.extend(steps)
        self._values.extend(values)
        self._times.extend(times)
        self.count = len(self._values)
        if self.count > 2 * self.most:
            kept = self._steps, self._values, self._times
            self._steps, self._values, self._times = array("q"), array("d"), array("q")
            self.count, self._width = 0, FIRST_WIDTH
            self._sort_in(*kept)

    def _sort_in(self, steps: Sequence[int], values: Sequence[float], times: Sequence[int]) -> None:
        """Add points to the last bucket, and to as many new ones as they need."""
        done = 0
        if 0 < self._filled < self._width:
            done = min(len(values), self._width - self._filled)
            self._fill(steps[:done], values[:done], times[:done])
        while done < len(values):
            if len(self._index) >= 2 * self.most:
                self._merge()
            stop = min(len(values), done + (self.most - len(self._index) // 2) * self._width)
            self._open(steps, values, times, range(done, stop, self._width))
            self._filled = (stop - done - 1) % self._width + 1
            self.count += stop - done
            done = stop

    def _fill(self, steps: Sequence[int], values: Sequence[float], times: Sequence[int]) -> None:
        """Add points to the last bucket, which has room for them."""
        lowest, highest = _extremes(values)
        low = len(self._index) - 2
        if _below(lowest, self._values[low]):
            at = values.index(lowest)
            self._put(low, (self.count + at, steps[at], lowest, times[at]))
        if _above(highest, self._values[low + 1]):
            at = values.index(highest)
            self._put(low + 1, (self.count + at, steps[at], highest, times[at]))
        self._filled += len(values)
        self.count += len(values)

    def _open(self, steps: Sequence[int], values: Sequence[float], times: Sequence[int], starts: range) -> None:
        """Make new buckets of the points from each of `starts` on to the next; the last one may stay unfilled."""
        width = starts.step
        chosen: list[int] = []
        for start in starts:
            part = values[start : min(start + width, starts.stop)]
            lowest, highest = _extremes(part)
            if lowest == lowest:
                chosen += (start + part.index(lowest), start + part.index(highest))
            else:  # nothing but NaN, which cannot be looked for
                chosen += (start, start)
        ahead = self.count - starts.start
        self._index.extend([ahead + place for place in chosen])
        sources: tuple[Sequence[Any], ...] = (steps, values, times)
        for column, source in zip(self._columns()[1:], sources, strict=True):
            column.extend([source[place] for place in chosen])

    def _merge(self) -> None:
        values, kept = self._values, []
        for low in range(0, len(values), 4):
            kept.append(low + 2 if _below(values[low + 2], values[low]) else low)
            kept.append(low + 3 if _above(values[low + 3], values[low + 1]) else low + 1)
        for column in self._columns():
            column[:] = array("d" if column is values else "q", [column[place] for place in kept])
        self._width *= 2

    def _put(self, place: int, point: Point) -> None:
        for column, item in zip(self._columns(), point, strict=True):
            column[place] = item

    def _columns(self) -> tuple[array[Any], ...]:
        return self._index, self._steps, self._values, self._times


def _below(value: float, other: float) -> bool:
    return value < other or (other != other and value == value)  # any number is preferred to a NaN


def _above(value: float, other: float) -> bool:
    return value > other or (other != other and value == value)


def _extremes(values: Sequence[float]) -> tuple[float, float]:
    lowest, highest = min(values), max(values)
    if lowest == lowest and highest == highest and values[0] == values[0]:
        return lowest, highest
    numbers = [value for value in values if value == value] or [values[0]]  # min and max are led astray by a NaN
    return min(numbers), max(numbers)
