"""What is kept of predictions: written by a thread of each worker, never in the way of an answer.

A request only puts what it has into a bounded queue. The thread drains it ten times a second into the time series
`predictions`: little at a time, as what it does for long the threads that answer wait for. Once a second all that was
counted is added to the counts. While MongoDB is away, entries wait as long as there is room; then they are dropped and
counted. A write that broke off half way is repeated: log entries may then be there twice.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal

import orjson
from pymongo import MongoClient, WriteConcern
from pymongo.database import Database
from pymongo.errors import BulkWriteError, PyMongoError

from sacristy.errors import NotInitialised
from sacristy.gateway.agreement import label_of, predictions_in
from sacristy.gateway.counts import MOST_LABELS, OTHER_LABELS, Of, Said, Tally, field_of
from sacristy.gateway.metrics import Meter
from sacristy.gateway.shadow import Comparison

log = logging.getLogger(__name__)

Outcome = Literal["answered", "refused", "failed"]
Keep = Literal["keep", "hash", "none"]
PREDICTIONS = "predictions"
MOST_ENTRIES = 20_000
MOST_BYTES = 64 << 20
KEPT_BYTES = 64 << 10  # of one request's instances, else their hash; and of its predictions, else their labels
FLUSH_S = 0.1
COUNTS_S = 1.0
LONGEST_PAUSE_S = 5.0
BATCH = 100  # what is written in one piece holds up the threads that answer, for some tenths of a millisecond
CLOSING_S = 3.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One request and what came of it. `ms`: how long the model server took; `user`: the name of the token."""

    id: str
    at: datetime
    of: Of
    run: int
    outcome: Outcome
    ms: float
    user: str
    question: bytes = b""
    answer: bytes = b""


Noted = Entry | Comparison | Said


class Ledger:
    """The queue and its thread. `keep(model)`: what is kept of a model's inputs. `client`: made on first use."""

    def __init__(
        self,
        client: Callable[[], MongoClient[dict[str, Any]]],
        database: str,
        keep: Callable[[str], Keep],
        meter: Meter,
    ) -> None:
        self._make_client, self._database, self._keep, self._meter = client, database, keep, meter
        self._client: MongoClient[dict[str, Any]] | None = None
        self._queue: deque[Noted] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._ending, self._wanted = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._late = Tally()  # counts of entries that were written, while the counts themselves were not
        self._owed, self._counted = False, 0.0
        self._labels: dict[Of, set[str]] = defaultdict(set)  # each is a field of the counts, so there is a limit

    def note(self, entry: Noted) -> None:
        """Take an entry if there is room. Never waits, never fails."""
        size = len(entry.question) + len(entry.answer) if isinstance(entry, Entry) else 0
        with self._lock:
            if len(self._queue) >= MOST_ENTRIES or self._bytes + size > MOST_BYTES:
                self._meter.log_dropped.inc()
                return
            self._queue.append(entry)
            self._bytes += size
            self._wanted.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="ledger", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Write what waits, for at most CLOSING_S."""
        self._ending.set()
        self._wanted.set()
        if self._thread:
            self._thread.join(CLOSING_S)

    def _work(self) -> None:
        pause_s = FLUSH_S
        while not self._ending.is_set():
            self._wanted.wait()
            self._wanted.clear()
            self._ending.wait(pause_s)
            pause_s = FLUSH_S if self._flush_all() else min(LONGEST_PAUSE_S, pause_s * 2)
            if self._queue or self._owed:
                self._wanted.set()
        self._flush_all(everything=True)

    def _flush_all(self, *, everything: bool = False) -> bool:
        """Write all entries that wait, and the counts if it is time; say whether MongoDB took them."""
        self._meter.log_waiting.set(len(self._queue))
        while batch := self._peek(BATCH):
            if not self._surely(partial(self._write, batch), batch):
                return False
            if len(batch) < BATCH and not everything:
                break  # what came meanwhile waits: one by one they would cost MongoDB more than a millisecond each
        if self._owed and (everything or time.monotonic() - self._counted > COUNTS_S):
            return self._surely(self._write_counts)
        return True

    def _surely(self, write: Callable[[], None], batch: Sequence[Noted] = ()) -> bool:
        """Write, and say whether MongoDB is there; what is at fault itself goes, so that the rest can be written."""
        try:
            write()
        except (PyMongoError, NotInitialised) as error:
            self._meter.log_failures.inc()
            log.warning("predictions are not logged for the moment: %s", type(error).__name__)
            return False
        except Exception:  # a fault of ours must not end the thread, nor come back with the same batch for ever
            log.exception("%d entries could not be logged", len(batch))
            self._meter.log_dropped.inc(len(batch))
            self._forget(batch)
        return True

    def _peek(self, most: int) -> list[Noted]:
        with self._lock:
            return list(itertools.islice(self._queue, most))

    def _write(self, batch: list[Noted]) -> None:
        entries = [(entry, predictions_in(entry.answer)) for entry in batch if isinstance(entry, Entry)]
        keep = {model: self._keep(model) for model in {entry.of.model for entry, _ in entries}}
        documents = [
            document_of(entry, predictions, keep[entry.of.model])
            for entry, predictions in entries
            if entry.outcome == "answered"
        ]
        if documents:
            self._opened()[PREDICTIONS].insert_many(documents, ordered=False)
        self._count(entries, [found for found in batch if isinstance(found, Comparison)])
        for said in batch:
            if isinstance(said, Said):
                self._late.add(said.of, said.at, said.amounts)
        self._forget(batch)

    def _write_counts(self) -> None:
        """Add what was counted. What MongoDB took is let go of at once: it must not be added again with the rest."""
        self._counted = time.monotonic()
        for collection, operations in self._late.operations().items():
            try:
                self._opened()[collection].bulk_write(operations, ordered=False)
            except BulkWriteError as error:
                refused = {each["index"] for each in error.details["writeErrors"]}
                self._late.forget(collection, but=refused)
                raise
            self._late.forget(collection)
        self._owed = False

    def _opened(self) -> Database[dict[str, Any]]:
        if self._client is None:
            self._client = self._make_client()
        return self._client.get_database(self._database, write_concern=WriteConcern(w=1))

    def _count(self, entries: list[tuple[Entry, list[Any] | None]], comparisons: list[Comparison]) -> None:
        for entry, predictions in entries:
            ms = entry.ms if entry.outcome == "answered" else None
            self._late.add(entry.of, entry.at, amounts_of(entry, predictions or [], self._labels[entry.of]), ms)
        for found in comparisons:
            self._late.compare(found, datetime.now().astimezone())
        self._owed = True

    def _forget(self, batch: Sequence[Noted]) -> None:
        with self._lock:
            for entry in batch:
                self._queue.popleft()
                if isinstance(entry, Entry):
                    self._bytes -= len(entry.question) + len(entry.answer)


def document_of(entry: Entry, predictions: list[Any] | None, keep: Keep) -> dict[str, Any]:
    """Return an entry as it is written."""
    of = {"model": entry.of.model, "stage": entry.of.stage, "version": entry.of.version}
    facts = {"at": entry.at, "of": of, "id": entry.id, "run": entry.run, "ms": entry.ms, "user": entry.user}
    output = orjson.dumps(predictions) if predictions is not None else entry.answer
    if predictions and len(output) > KEPT_BYTES:
        output = orjson.dumps([{"label": label_of(prediction)} for prediction in predictions])
    if len(output) <= KEPT_BYTES:
        facts["output"] = output.decode("utf-8", "replace")
    return facts | _input(entry, keep)


def _input(entry: Entry, keep: Keep) -> dict[str, str]:
    if keep == "none":
        return {}
    if keep == "keep" and len(entry.question) <= KEPT_BYTES:
        return {"input": entry.question.decode("utf-8", "replace")}
    return {"input_sha256": hashlib.sha256(entry.question).hexdigest()}


def amounts_of(entry: Entry, predictions: list[Any], seen: set[str]) -> dict[str, float]:
    """Return what an entry adds to its version's counts. `seen`: its labels' fields so far, at most MOST_LABELS."""
    amounts: dict[str, float] = {entry.outcome: 1}
    if entry.outcome != "answered":
        return amounts
    amounts["instances"] = len(predictions)
    for prediction in predictions:
        label = prediction.get("label") if isinstance(prediction, dict) else None
        if not isinstance(label, str):
            continue
        field = field_of(label)
        if len(seen) < MOST_LABELS:
            seen.add(field)
        name = f"labels.{field if field in seen else field_of(OTHER_LABELS)}"
        amounts[name] = amounts.get(name, 0) + 1
    return amounts
