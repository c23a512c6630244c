"""A metric's points: packed into chunks on the way to the database, and read back whole.

A chunk is a document of the collection `points`: {run, metric, chunk, first, count, steps, values, times}, the
last three packed little-endian (int64, float64, int64 milliseconds since 1970): 24 bytes a point, read back
without parsing, and never near MongoDB's 16 MB.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sacristy.tracking.outline import MOST_BUCKETS, Outline

if TYPE_CHECKING:
    import pandas  # type: ignore[import-untyped,unused-ignore]
    from pymongo.database import Database

MOST_POINTS = 4096  # of one chunk: 98 kB
FEWEST_POINTS = 256
FEWEST_BUCKETS = 200
POINTS_IN_MEMORY = 4_000_000  # over all the last chunks of a run
BUCKETS_IN_MEMORY = 500_000  # over all outlines of a run


@dataclass
class Series:
    """One metric of one run, whole: steps, values, and times in milliseconds since 1970."""

    metric: str
    steps: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    times: array[int] = field(default_factory=lambda: array("q"))

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[tuple[int, float, int]]:
        return iter(zip(self.steps, self.values, self.times, strict=True))


@dataclass
class Chunk(Series):
    """A stretch of a series, which begins with its point `first`."""

    number: int = 0
    first: int = 0

    def document(self) -> dict[str, Any]:
        """Return the chunk as a document without its `_id` and run."""
        columns = {name: packed(getattr(self, name)) for name in ("steps", "values", "times")}
        return {"metric": self.metric, "chunk": self.number, "first": self.first, "count": len(self)} | columns


class Filing:
    """Files one metric's points into chunks and an outline. Chunk borders depend on the journal alone."""

    def __init__(self, metric: str, metrics: int) -> None:
        self.metric = metric
        self._capacity = max(FEWEST_POINTS, min(MOST_POINTS, POINTS_IN_MEMORY // metrics))
        self._chunk = Chunk(metric)
        self._full: list[Chunk] = []
        self.outline = Outline(max(FEWEST_BUCKETS, min(MOST_BUCKETS, BUCKETS_IN_MEMORY // metrics // 2 * 2)))
        self.changed = False
        self.redraw = False  # the outline, which is sent less often

    def extend(self, steps: array[int], values: array[float], times: array[int]) -> None:
        """File the next points, equally many of each."""
        done = 0
        while done < len(values):
            if len(self._chunk) == self._capacity:
                self._next_chunk()
            stop = min(len(values), done + self._capacity - len(self._chunk))
            self._chunk.steps.extend(steps[done:stop])
            self._chunk.values.extend(values[done:stop])
            self._chunk.times.extend(times[done:stop])
            done = stop
        self.outline.extend(steps, values, times)
        self.changed = self.redraw = True

    def _next_chunk(self) -> None:
        full = self._chunk
        self._full.append(full)
        self._chunk = Chunk(full.metric, number=full.number + 1, first=full.first + len(full))

    def unsent(self) -> list[Chunk]:
        """Return the chunks that changed since `sent`."""
        return [*self._full, self._chunk] if self.changed else []

    def sent(self) -> None:
        """Forget what has arrived; only the last chunk is kept, because it may still grow."""
        self._full = []
        self.changed = False


def read_metrics(db: Database[dict[str, Any]], run_id: int) -> dict[str, Series]:
    """Return every metric of a run in full, by name, in the order logged."""
    found: dict[str, Series] = {}
    for document in db.points.find({"run": run_id}).sort([("metric", 1), ("chunk", 1)]):
        series = found.setdefault(document["metric"], Series(document["metric"]))
        for name, kind in (("steps", "q"), ("values", "d"), ("times", "q")):
            getattr(series, name).extend(unpacked(kind, document[name]))
    return found


def outlines(db: Database[dict[str, Any]], run_ids: Sequence[int]) -> dict[int, dict[str, list[float]]]:
    """Return the values of every metric's drawn curve (at most 10,000 points each), by run and metric's name.

    One query for all runs, which reads no chunk of points. A run without metrics is not in the answer.
    """
    found: dict[int, dict[str, list[float]]] = {}
    fields = {"run_id": 1, "name": 1, "values": 1}
    for document in db.metrics.find({"run_id": {"$in": list(run_ids)}}, fields).sort([("run_id", 1), ("name", 1)]):
        found.setdefault(document["run_id"], {})[document["name"]] = document["values"]
    return found


def read_frame(db: Database[dict[str, Any]], run_id: int) -> pandas.DataFrame:
    """Return all points of a run as a pandas frame: metric, step, value, time (UTC)."""
    import pandas

    columns = {"metric": str, "step": "int64", "value": "float64", "time": "datetime64[ms, UTC]"}
    frames = [
        pandas.DataFrame({"metric": name, "step": series.steps, "value": series.values, "time": series.times})
        for name, series in read_metrics(db, run_id).items()
    ]
    if not frames:
        return pandas.DataFrame({name: [] for name in columns}).astype(columns)
    frame = pandas.concat(frames, ignore_index=True)
    frame["time"] = pandas.to_datetime(frame["time"], unit="ms", utc=True)
    return frame


def packed(column: array[Any]) -> bytes:
    """Return a column's bytes, little-endian."""
    return _little_endian(column).tobytes()


def unpacked(kind: str, content: bytes) -> array[Any]:
    """Return the column that `packed` made bytes of."""
    column: array[Any] = array(kind)
    column.frombytes(content)
    return _little_endian(column)


def _little_endian(column: array[Any]) -> array[Any]:
    if sys.byteorder == "little":
        return column
    swapped = array(column.typecode, column)
    swapped.byteswap()
    return swapped
