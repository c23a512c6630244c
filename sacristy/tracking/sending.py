"""A run's state into MongoDB. Every write is idempotent and only ever moves a document forward."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bson import Binary
from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from sacristy.tracking.database import Documents
from sacristy.tracking.journal import is_training
from sacristy.tracking.series import Filing
from sacristy.tracking.state import Attachment, RunState, object_id

DUPLICATE = 11000
PIECE_BYTES = 255 * 1024  # GridFS's own
NUMBERED = {"runs": "_id", "points": "run", "metrics": "run_id"}  # of a run that was removed, its points stay
OUTLINES_AT_ONCE = 32
REFRESH_S = 5.0
REFRESH_SHARE = 20  # outlines are drawn anew at most 1/20 of the time


class Sender:
    """Sends one run. Nothing is kept back: what is due is read from the state at each call."""

    def __init__(self, database: Documents, state: RunState, folder: Path, progress: Callable[[], None]) -> None:
        self.database = database
        self.state = state
        self.folder = folder
        self.run: int | None = None
        self._progress = progress
        self._outlines_due = 0.0

    def send(self, *, final: bool = False) -> None:
        """Bring the database up to the state. Raises PyMongoError; calling again resumes."""
        if self.run is None:
            self.run = self._number()
            self._progress()
        self._send_files()
        self._send_points()
        self._send_outlines(final)
        self._send_document()

    def complete(self, missing: int) -> bool:
        """Compare what arrived with what the journal held, record the verdict and return it.

        `missing`: how much is known not to be in the journal.
        """
        grouped = self.database.points.aggregate(
            [{"$match": {"run": self.run}}, {"$group": {"_id": None, "count": {"$sum": "$count"}}}]
        )
        arrived = sum(group["count"] for group in grouped)
        whole = arrived == self.state.points and not (missing or self.state.faulty)
        verdict = {"sacristy.journal.arrived": arrived, "sacristy.journal.complete": whole}
        self.database.runs.update_one({"_id": self.run}, {"$set": verdict})
        return whole

    def is_complete(self) -> bool:
        """Say whether the database has this run whole already, with its end, which the journal may lack by now."""
        whole = {"sacristy.journal.complete": True, "sacristy.journal.events": {"$gt": self.state.events}}
        return self.database.runs.find_one({"_id": self.run} | whole, {"_id": 1}) is not None

    def _number(self) -> int:
        """Return the run's number, given now by inserting its document if it has none yet."""
        runs, key = self.database.runs, {"sacristy.journal.key": self.state.key}
        while True:
            known = runs.find_one(key, {"_id": 1})
            if known:
                return int(known["_id"])
            document = nested(self.state.fields() | {"_id": 1 + max(map(self._greatest, NUMBERED.items()))})
            document["sacristy"]["journal"] |= {"key": self.state.key, "events": 0, "complete": False}
            try:
                runs.insert_one(document)
            except DuplicateKeyError:
                continue  # another run took the number, or another process sent this run

    def _greatest(self, place: tuple[str, str]) -> int:
        """Return the greatest number of a run that a collection knows, 0 for none."""
        collection, field = place
        last = self.database[collection].find_one({field: {"$type": "number"}}, {field: 1}, sort=[(field, -1)])
        return int(last[field]) if last else 0

    def _send_files(self) -> None:
        while self.state.unsent_files:
            self._send_file(self.state.unsent_files[0])
            self.state.unsent_files.pop(0)

    def _send_file(self, file: Attachment) -> None:
        files, pieces = self.database["fs.files"], self.database["fs.chunks"]
        path = self.folder / file.file
        if files.find_one({"_id": file.id}, {"_id": 1}) or not path.is_file():
            return
        size = 0
        with path.open("rb") as content:
            for number, piece in enumerate(iter(lambda: content.read(PIECE_BYTES), b"")):
                place = {"files_id": file.id, "n": number}
                document = place | {"_id": object_id(str(file.id), str(number)), "data": Binary(piece)}
                pieces.replace_one({"_id": document["_id"]}, document, upsert=True)
                size += len(piece)
                self._progress()
        name = file.name if "://" in file.name else f"artifact://runs/{self.run}/{file.name}"
        entry = {"_id": file.id, "filename": name, "contentType": file.kind, "metadata": file.meta}
        entry |= {"length": size, "chunkSize": PIECE_BYTES, "uploadDate": datetime.datetime.now(datetime.UTC)}
        files.replace_one({"_id": file.id}, entry, upsert=True)

    def _send_points(self) -> None:
        writes = []
        changed = [filing for filing in self.state.metrics.values() if filing.changed]
        for filing in changed:
            for chunk in filing.unsent():
                identity = object_id(self.state.key, "chunk", chunk.metric, str(chunk.number))
                document = {"_id": identity, "run": self.run} | chunk.document()
                writes.append(_forward(identity, "count", document))
        _write(self.database.points, writes)
        for filing in changed:
            filing.sent()

    def _send_outlines(self, final: bool) -> None:
        begun = time.monotonic()
        if begun < self._outlines_due and not final:
            return
        stale = [filing for filing in self.state.metrics.values() if filing.redraw]
        for start in range(0, len(stale), OUTLINES_AT_ONCE):
            filings = stale[start : start + OUTLINES_AT_ONCE]
            _write(self.database.metrics, [self._outline(filing) for filing in filings])
            for filing in filings:
                filing.redraw = False
            self._progress()
        now = time.monotonic()
        self._outlines_due = now + max(REFRESH_S, REFRESH_SHARE * (now - begun))

    def _outline(self, filing: Filing) -> ReplaceOne[dict[str, Any]]:
        steps, values, times = filing.outline.points()
        identity = self.state.metric_id(filing.metric)
        moments = [datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC) for ms in times]
        document: dict[str, Any] = {
            "_id": identity,
            "run_id": self.run,
            "name": filing.metric,
            "points": filing.outline.count,
        }
        document |= {"steps": steps, "values": values, "timestamps": moments}
        return _forward(identity, "points", document)

    def _send_document(self) -> None:
        before = self.database.runs.find_one_and_update(
            {"_id": self.run, "sacristy.journal.events": {"$lte": self.state.events}},
            {"$set": self.state.fields(), "$currentDate": {"sacristy.seen": True}},
            {"sacristy.reaped": 1},
        )
        if before and before["sacristy"].get("reaped") and is_training(self.folder):
            self._revive()
        self.state.sent()

    def _revive(self) -> None:
        """Give a run that was taken for dead while it was not heard of the status that its journal tells."""
        told = {name: self.state.about.get(name) for name in ("status", "stop_time")}
        self.database.runs.update_one({"_id": self.run}, {"$set": told, "$unset": {"sacristy.reaped": ""}})


def nested(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields given by dotted paths as one nested document."""
    document: dict[str, Any] = {}
    for path, value in fields.items():
        *parents, name = path.split(".")
        place = document
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = value
    return document


def _forward(identity: Any, measure: str, document: dict[str, Any]) -> ReplaceOne[dict[str, Any]]:
    """Replace a document unless it is further on already; then the upsert meets its own id, which `_write` allows."""
    return ReplaceOne({"_id": identity, measure: {"$lte": document[measure]}}, document, upsert=True)


def _write(collection: Any, writes: list[Any]) -> None:
    if not writes:
        return
    try:
        collection.bulk_write(writes, ordered=False)
    except BulkWriteError as error:
        others = [fault for fault in error.details["writeErrors"] if fault["code"] != DUPLICATE]
        if others or error.details.get("writeConcernErrors"):
            raise
