"""A run as its journal tells it: events go in, documents come out. No database, no clock, no disk here.

Every document is a function of the journal's beginning up to some event, and carries how many events (or
points) that was. A write replaces a shorter beginning by a longer one and never the other way round: sending
twice, in any order, by two processes at once, ends in the same documents.
"""

from __future__ import annotations

import datetime
import hashlib
from array import array
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import bson
from bson import ObjectId

from sacristy.tracking.series import Filing
from sacristy.tracking.values import INT64, key, plain

MOST_SECTION_BYTES = 2 << 20  # as BSON, of one of config, info, result, host, meta, a note, a list
MOST_DOCUMENT_BYTES = 11 << 20  # of all these; MongoDB takes 16 MiB, and output, status and services need room too
MOST_NOTICES_BYTES = 1 << 20  # beyond that, of what stands where something was left out
MOST_METRICS_LISTED = 10_000
DAMAGE = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, OSError)  # JSON that is no event of ours
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
    left_out: int = 0  # values that the document had no room for, beside those that a notice stands for
    _sizes: dict[str, int] = field(default_factory=dict)  # bytes as BSON of each part that has no bound of its own
    _total: int = 0
    _listed: list[dict[str, Any]] = field(default_factory=list)
    _info_changed: bool = False

    def apply(self, events: list[Any]) -> None:
        """Take the journal's next events."""
        self.events += len(events)
        points: defaultdict[Any, list[list[Any]]] = defaultdict(list)
        for event in events:
            try:
                if type(event) is list:
                    points[event[0]].append(event)
                else:
                    getattr(self, f"_{event['e']}")(event)
            except DAMAGE:
                self.faulty += 1
        for metric, lines in points.items():
            self._file(metric, lines)

    def end(self, words: Words) -> None:
        """Take the run's last words, which count as an event."""
        self.events += 1
        self._set("status", words["status"])
        self._set("stop_time", when(words["time"]))
        if "result" in words:
            self._keep("result", words["result"])
        self._score(self.about.get("result"))
        if words.get("fail_trace"):
            self._set("fail_trace", words["fail_trace"])
        self._set("sacristy.journal.lost", words.get("lost", 0))
        self._set("sacristy.journal.refused", words.get("refused", 0))

    def _score(self, result: Any) -> None:
        """Set the run's score: its main metric, as the result names it, else as it was last logged."""
        metric = str(self.about.get("sacristy.main_metric") or "")
        score = result.get(metric.rpartition(".")[2]) if isinstance(result, dict) else None
        if score is None and metric in self.metrics:
            score = self.metrics[metric].outline.last
        if isinstance(score, (int, float)):
            self._set("sacristy.score", float(score))

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
        self.unsent_files.append(Attachment(identity, name, file, kind, bounded(meta)))
        self._list("artifacts", self.artifacts, {"name": name, "file_id": identity})
        self._set("artifacts", self.artifacts)

    def metric_id(self, metric: str) -> ObjectId:
        """Return the id of a metric's document for Omniboard."""
        return object_id(self.key, "metric", metric)

    def fields(self) -> dict[str, Any]:
        """Return the document's fields that changed since `sent`, and how far the journal was read."""
        if self._info_changed:
            self.changes["info"] = self.info | ({"metrics": self._listed} if self._listed else {})
        counts = {"events": self.events, "points": self.points, "faulty": self.faulty}
        if self.left_out:
            counts["left_out"] = self.left_out
        return self.changes | {f"sacristy.journal.{name}": value for name, value in counts.items()}

    def sent(self) -> None:
        """Forget what has arrived."""
        self.changes = {}
        self._info_changed = False

    def _file(self, metric: Any, lines: list[list[Any]]) -> None:
        if type(metric) is not str:
            self.faulty += len(lines)
            return
        steps, values, times = self._typed(lines)
        filing = self.metrics.get(metric)
        if filing is None:
            filing = self.metrics[metric] = Filing(metric, len(self.metrics) + 1)
            self._list_metric(metric)
        filing.extend(steps, values, times)
        self.points += len(values)
        self.last_time = max(self.last_time, times[-1] if times else 0)

    def _typed(self, lines: list[list[Any]]) -> tuple[array[int], array[float], array[int]]:
        try:
            _, steps, values, times = zip(*lines, strict=True)
            return array("q", steps), array("d", values), array("q", times)
        except (TypeError, ValueError, OverflowError):  # damage that is still JSON: what is no point is left out
            good = [line for line in lines if _is_point(*line[1:])]
            self.faulty += len(lines) - len(good)
            return array("q", [p[1] for p in good]), array("d", [p[2] for p in good]), array("q", [p[3] for p in good])

    def _start(self, event: Words) -> None:
        document = dict(event["document"])
        self.started = True
        self.last_time = event["time"]
        ours = document.pop("sacristy")
        commit = {"commit": ours["commit"][:12] + ("+changes" if ours["dirty"] else "")} if ours["commit"] else {}
        self.info = commit
        for name, value in document.items():
            self._keep(name, value)
        for name, value in ours.items():
            self._keep(f"sacristy.{name}", value)
        self._info_changed = True
        empty: Words = {"result": None, "captured_out": "", "artifacts": [], "resources": []}
        times = {"start_time": when(event["time"]), "heartbeat": when(event["time"]), "stop_time": None}
        for name, value in (empty | times).items():
            self._set(name, value)

    def _beat(self, event: Words) -> None:
        self.last_time = max(self.last_time, event["time"])
        self._set("heartbeat", when(event["time"]))
        if "result" in event:
            self._keep("result", event["result"])
        if isinstance(event.get("info"), dict):
            info = self._within("info", bounded(event["info"])) or {}
            self.info = {k: v for k, v in self.info.items() if k == "commit"} | info
            self._info_changed = True

    def _note(self, event: Words) -> None:
        self._keep(f"sacristy.{key(event['key'])}", event["value"])

    def _artifact(self, event: Words) -> None:
        self.attach(event["name"], event["file"], event["type"], event["meta"])

    def _resource(self, event: Words) -> None:
        self._list("resources", self.resources, [event["path"], event["md5"]])
        self._set("resources", self.resources)

    def _diff(self, event: Words) -> None:
        name = f"diff://{event['digest']}"
        self.unsent_files.append(
            Attachment(object_id("diff", event["digest"]), name, event["file"], "text/x-diff", None)
        )

    def _keep(self, path: str, value: Any) -> None:
        """Set a value of any size, or what was left out of it; nothing, but counted, where even that has no room."""
        kept = self._within(path, bounded(value))
        if kept is not None or value is None:
            self._set(path, kept)

    def _within(self, path: str, value: Any) -> Any:
        """Return a value if the whole document has room for it, else a notice, or None in a full document."""
        size = size_of(path, value)
        if not self._room(path, size, MOST_DOCUMENT_BYTES):
            self.left_out += 1
            value = left_out(size)
            size = size_of(path, value)
            if not self._room(path, size, MOST_DOCUMENT_BYTES + MOST_NOTICES_BYTES):
                return None
        self._total += size - self._sizes.get(path, 0)
        self._sizes[path] = size
        return value

    def _room(self, path: str, size: int, most: int) -> bool:
        return self._total - self._sizes.get(path, 0) + size <= most

    def _list(self, path: str, items: list[Any], item: Any) -> None:
        """Append to a list in the document, if it has room; otherwise count."""
        size = self._sizes.get(path, 0) + size_of(str(len(items)), item)
        if size > MOST_SECTION_BYTES or not self._room(path, size, MOST_DOCUMENT_BYTES):
            self.left_out += 1
            return
        self._total += size - self._sizes.get(path, 0)
        self._sizes[path] = size
        items.append(item)

    def _list_metric(self, metric: str) -> None:
        if len(self._listed) < MOST_METRICS_LISTED:
            self._list("info.metrics", self._listed, {"name": metric, "id": str(self.metric_id(metric))})
        self._info_changed = True

    def _set(self, path: str, value: Any) -> None:
        self.changes[path] = self.about[path] = value


def object_id(*parts: str) -> ObjectId:
    """Return the id that a thing of these names always has."""
    return ObjectId(hashlib.sha256("\0".join(parts).encode()).digest()[:12])


def when(milliseconds: int) -> datetime.datetime:
    """Return a moment given in milliseconds since 1970."""
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)


def bounded(section: Any) -> Any:
    """Return a part of the document, plain and below 2 MiB as BSON, or what was left out and how large it was."""
    value = plain(section)
    size = size_of("", value)
    return value if size <= MOST_SECTION_BYTES else left_out(size)


def left_out(size: int) -> dict[str, str]:
    """Return what stands in the document for a value of so many bytes."""
    return {"left_out": f"{size} bytes, more than a document should hold"}


def size_of(name: str, value: Any) -> int:
    """Return how many bytes a value takes in a BSON document."""
    return len(bson.encode({name: value}))


def _is_point(step: Any = None, value: Any = None, time: Any = None, *more: Any) -> bool:
    whole = not more and type(step) is int and type(time) is int and step in INT64 and time in INT64
    return whole and type(value) in (int, float)
