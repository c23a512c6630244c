"""A series of any length as at most a few thousand points that draw the same curve."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_BUCKETS = 4998  # two points of each, the first and the last one: under 10,000
Point = tuple[int, int, float, int]  # its place in the series, step, value, time


@dataclass
class Outline:
    """Keeps the lowest and the highest point of each of `most` (even) buckets; when all are full, pairs are merged.

    Every extreme is therefore kept exactly, and so are the first and the last point. The outcome depends on
    the points alone, not on how they arrived; adding one costs the same at the end as at the beginning.
    """

    most: int = MOST_BUCKETS
    count: int = 0
    _width: int = 1
    _filled: int = 0
    _index: array[int] = field(default_factory=lambda: array("q"))  # two entries for each bucket: lowest, highest
    _steps: array[int] = field(default_factory=lambda: array("q"))
    _values: array[float] = field(default_factory=lambda: array("d"))
    _times: array[int] = field(default_factory=lambda: array("q"))
    _first: Point = (-1, 0, 0.0, 0)
    _last: Point = (-1, 0, 0.0, 0)

    def extend(self, steps: Sequence[int], values: Sequence[float], times: Sequence[int]) -> None:
        """Add the next points of the series, a bucket's worth at a time."""
        done = 0
        while done < len(values):
            if self._filled in (0, self._width):
                self._open(steps[done], values[done], times[done])
                done += 1
                continue
            stop = min(len(values), done + self._width - self._filled)
            part = values[done:stop]
            lowest, highest = _extremes(part)
            low = len(self._index) - 2
            if _below(lowest, self._values[low]):
                at = done + part.index(lowest)
                self._put(low, at - done, steps[at], lowest, times[at])
            if _above(highest, self._values[low + 1]):
                at = done + part.index(highest)
                self._put(low + 1, at - done, steps[at], highest, times[at])
            self.count += stop - done
            self._filled += stop - done
            done = stop
        if values:
            self._last = (self.count - 1, steps[-1], values[-1], times[-1])

    def points(self) -> tuple[list[int], list[float], list[int]]:
        """Return steps, values and times, in the order in which they were added."""
        chosen = {index: place for place, index in enumerate(self._index)}
        places = [chosen[index] for index in sorted(chosen)]
        points = [(self._index[i], self._steps[i], self._values[i], self._times[i]) for i in places]
        if self.count and self._first[0] not in chosen:
            points.insert(0, self._first)
        if self.count and self._last[0] not in chosen:
            points.append(self._last)
        return [p[1] for p in points], [p[2] for p in points], [p[3] for p in points]

    def _open(self, step: int, value: float, time: int) -> None:
        if len(self._index) >= 2 * self.most:
            self._merge()
        point = (self.count, step, value, time)
        for column, item in zip(self._columns(), point, strict=True):
            column.append(item)
            column.append(item)
        if not self.count:
            self._first = point
        self.count += 1
        self._filled = 1

    def _merge(self) -> None:
        values, kept = self._values, []
        for low in range(0, len(values), 4):
            kept.append(low + 2 if _below(values[low + 2], values[low]) else low)
            kept.append(low + 3 if _above(values[low + 3], values[low + 1]) else low + 1)
        for column in self._columns():
            column[:] = array("d" if column is values else "q", [column[place] for place in kept])
        self._width *= 2

    def _put(self, place: int, ahead: int, step: int, value: float, time: int) -> None:
        for column, item in zip(self._columns(), (self.count + ahead, step, value, time), strict=True):
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
