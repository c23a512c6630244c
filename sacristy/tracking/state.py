"""A run as its journal tells it: events go in, documents come out. No database, no clock, no disk here.

Every document is a function of the journal's beginning up to some event, and carries how many events (or
points) that was. A write replaces a shorter beginning by a longer one and never the other way round: sending
twice, in any order, by two processes at once, ends in the same documents.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from array import array
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from bson import ObjectId

from sacristy.tracking.series import Filing
from sacristy.tracking.values import INT64, key, plain

MOST_SECTION_BYTES = 2 << 20  # of one of config, info, result, host, meta in the run's document
MOST_METRICS_LISTED = 10_000
Words = dict[str, Any]


@dataclass(frozen=True)
class Attachment:
    """A file in the journal's folder that goes to GridFS under an id of its own."""

    id: ObjectId
    name: str
    file: str
    kind: str | None
    meta: Any


@dataclass
class RunState:
    """The run of one journal. `changes` are the document's fields, by dotted path, not sent yet."""

    key: str
    started: bool = False
    events: int = 0
    points: int = 0
    faulty: int = 0
    changes: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Filing] = field(default_factory=dict)
    unsent_files: list[Attachment] = field(default_factory=list)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    resources: list[list[str]] = field(default_factory=list)
    info: dict[str, Any] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)  # what the run card says; the last of each field
    last_time: int = 0
    _info_changed: bool = False

    def apply(self, events: list[Any]) -> None:
        """Take the journal's next events."""
        self.events += len(events)
        points: dict[str, tuple[list[int], list[float], list[int]]] = {}
        for event in events:
            try:
                if type(event) is list:
                    metric, step, value, time = event
                    steps, values, times = points.get(metric) or points.setdefault(metric, ([], [], []))
                    steps.append(step)
                    values.append(value)
                    times.append(time)
                else:
                    getattr(self, f"_{event['e']}")(event)
            except (TypeError, ValueError, KeyError, AttributeError):
                self.faulty += 1
        for metric, columns in points.items():
            self._file(metric, *columns)

    def end(self, words: Words) -> None:
        """Take the run's last words, which count as an event."""
        self.events += 1
        self._set("status", words["status"])
        self._set("stop_time", when(words["time"]))
        if "result" in words:
            self._set("result", bounded(words["result"]))
        if words.get("fail_trace"):
            self._set("fail_trace", words["fail_trace"])
        self._set("sacristy.journal.lost", words.get("lost", 0))
        self._set("sacristy.journal.refused", words.get("refused", 0))

    def dead(self) -> None:
        """Note that the run's process died without last words."""
        self.events += 1
        self._set("status", "DEAD")
        self._set("stop_time", when(self.last_time))

    def printed(self, text: str, size: int, omitted: int) -> None:
        """Take what of the output is to be shown, and the sizes (bytes) of all of it and of what is left out."""
        self._set("captured_out", text)
        self._set("sacristy.output", {"bytes": size, "omitted": omitted})

    def attach(self, name: str, file: str, kind: str | None, meta: Any = None) -> None:
        """Add a file of the journal's folder as an artifact."""
        identity = object_id(self.key, "artifact", file)
        self.unsent_files.append(Attachment(identity, name, file, kind, meta))
        self.artifacts.append({"name": name, "file_id": identity})
        self._set("artifacts", self.artifacts)

    def metric_id(self, metric: str) -> ObjectId:
        """Return the id of a metric's document for Omniboard."""
        return object_id(self.key, "metric", metric)

    def fields(self) -> dict[str, Any]:
        """Return the document's fields that changed since `sent`, and how far the journal was read."""
        if self._info_changed:
            names = islice(self.metrics, MOST_METRICS_LISTED)
            listed = [{"name": name, "id": str(self.metric_id(name))} for name in names]
            self.changes["info"] = self.info | ({"metrics": listed} if listed else {})
        counts = {"events": self.events, "points": self.points, "faulty": self.faulty}
        return self.changes | {f"sacristy.journal.{name}": value for name, value in counts.items()}

    def sent(self) -> None:
        """Forget what has arrived."""
        self.changes = {}
        self._info_changed = False

    def _file(self, metric: str, *columns: list[Any]) -> None:
        if type(metric) is not str:
            self.faulty += len(columns[0])
            return
        steps, values, times = self._typed(*columns)
        filing = self.metrics.get(metric)
        if filing is None:
            filing = self.metrics[metric] = Filing(metric, len(self.metrics) + 1)
            self._info_changed = True
        filing.extend(steps, values, times)
        self.points += len(values)
        self.last_time = max(self.last_time, times[-1] if times else 0)

    def _typed(
        self, steps: list[Any], values: list[Any], times: list[Any]
    ) -> tuple[array[int], array[float], array[int]]:
        try:
            return array("q", steps), array("d", values), array("q", times)
        except (TypeError, OverflowError):  # damage that is still JSON: what is no point is counted and left out
            good = [point for point in zip(steps, values, times, strict=True) if _is_point(*point)]
            self.faulty += len(steps) - len(good)
            return array("q", [p[0] for p in good]), array("d", [p[1] for p in good]), array("q", [p[2] for p in good])

    def _start(self, event: Words) -> None:
        document = dict(event["document"])
        self.started = True
        self.last_time = event["time"]
        ours = document.pop("sacristy")
        commit = {"commit": ours["commit"][:12] + ("+changes" if ours["dirty"] else "")} if ours["commit"] else {}
        self.info = commit
        for name, value in document.items():
            self._set(name, bounded(value))
        for name, value in ours.items():
            self._set(f"sacristy.{name}", value)
        self._info_changed = True
        empty: Words = {"result": None, "captured_out": "", "artifacts": [], "resources": []}
        times = {"start_time": when(event["time"]), "heartbeat": when(event["time"]), "stop_time": None}
        for name, value in (empty | times).items():
            self._set(name, value)

    def _beat(self, event: Words) -> None:
        self.last_time = max(self.last_time, event["time"])
        self._set("heartbeat", when(event["time"]))
        if "result" in event:
            self._set("result", bounded(event["result"]))
        if isinstance(event.get("info"), dict):
            self.info = {k: v for k, v in self.info.items() if k == "commit"} | bounded(event["info"])
            self._info_changed = True

    def _note(self, event: Words) -> None:
        self._set(f"sacristy.{key(event['key'])}", bounded(event["value"]))

    def _artifact(self, event: Words) -> None:
        self.attach(event["name"], event["file"], event["type"], event["meta"])

    def _resource(self, event: Words) -> None:
        self.resources.append([event["path"], event["md5"]])
        self._set("resources", self.resources)

    def _diff(self, event: Words) -> None:
        name = f"diff://{event['digest']}"
        self.unsent_files.append(
            Attachment(object_id("diff", event["digest"]), name, event["file"], "text/x-diff", None)
        )

    def _set(self, path: str, value: Any) -> None:
        self.changes[path] = self.about[path] = value


def object_id(*parts: str) -> ObjectId:
    """Return the id that a thing of these names always has."""
    return ObjectId(hashlib.sha256("\0".join(parts).encode()).digest()[:12])


def when(milliseconds: int) -> datetime.datetime:
    """Return a moment given in milliseconds since 1970."""
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)


def bounded(section: Any) -> Any:
    """Return a part of the document, plain and below 2 MiB, or what was left out and how large it was."""
    value = plain(section)
    size = len(json.dumps(value))
    return value if size <= MOST_SECTION_BYTES else {"left_out": f"{size} bytes, more than a document should hold"}


def _is_point(step: Any, value: Any, time: Any) -> bool:
    whole = type(step) is int and type(time) is int and step in INT64 and time in INT64
    return whole and type(value) in (int, float)
