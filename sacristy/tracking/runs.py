"""Runs as the rest of Sacristy sees them."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from bson import ObjectId

from sacristy.errors import NoRun, UnknownRun
from sacristy.tracking.database import Documents

CARD_DUE = "sacristy.card_due"  # the run card is to be written anew: card_upkeep.py
LISTED = {"captured_out": 0, "host": 0, "experiment.dependencies": 0, "info.metrics": 0}


@dataclass(frozen=True)
class WeightsFile:
    """A file that a run left behind, kept under its digest. `role`: weights, golden or heldout."""

    name: str
    digest: str
    size: int
    role: str


@dataclass(frozen=True)
class RunRecord:
    """A run. `complete`: all that it logged is in the database. `document`: the whole of it."""

    id: int
    model: str
    status: str
    started: datetime.datetime | None
    stopped: datetime.datetime | None
    heartbeat: datetime.datetime | None
    config: dict[str, Any]
    result: Any
    commit: str
    dirty: bool
    sources: str
    lock: str
    data: dict[str, Any]
    weights: tuple[WeightsFile, ...]
    complete: bool
    document: dict[str, Any]

    @property
    def ranks(self) -> int:
        """How many processes trained together."""
        return int((self.document.get("sacristy") or {}).get("ranks", 1))

    @property
    def incomplete_because(self) -> str:
        """Why the run is not complete, in a few words; empty if it is."""
        journal = self.document.get("sacristy", {}).get("journal")
        if self.complete:
            return ""
        if not journal:
            return "it was not recorded by sacristy.experiment"
        if journal.get("complete"):
            return f"it ended as {self.status}"
        if self.status == "RUNNING":
            return "it is still running"
        if self.status == "DEAD":
            return "its process died"
        lost = journal.get("lost", 0) + journal.get("faulty", 0)
        arrived, points = journal.get("arrived", 0), journal.get("points", 0)
        return f"{lost} events could not be recorded" if lost else f"{arrived} of {points} points are here"


def find_run(db: Documents, run_id: int) -> RunRecord:
    """Return a run, or raise UnknownRun."""
    document = db.runs.find_one({"_id": run_id})
    if document is None:
        raise UnknownRun(run=run_id)
    return record(document)


def find_by_token(db: Documents, token: str) -> RunRecord | None:
    """Return the newest run whose training was started with SACRISTY_TOKEN set to `token`, or None.

    A Job on a cluster has more than one where its pod was ended and another one went on.
    """
    document = db.runs.find_one({"sacristy.token": token}, sort=[("_id", -1)])
    return record(document) if document else None


def newest_run(db: Documents, model: str) -> RunRecord:
    """Return a model's newest completed run, or raise NoRun. Searches and their trials are chosen by number only."""
    ordinary = {"sacristy.search": {"$exists": False}, "sacristy.trial": {"$exists": False}}
    query = {"experiment.name": model, "status": "COMPLETED"} | ordinary
    document = db.runs.find_one(query, sort=[("_id", -1)])
    if document is None:
        raise NoRun(model=model)
    return record(document)


def list_runs(
    db: Documents, model: str | None = None, status: str | None = None, tag: str | None = None, limit: int = 50
) -> list[RunRecord]:
    """Return runs, the newest first, without their output and lists of metrics."""
    query: dict[str, Any] = {}
    if model:
        query["experiment.name"] = model
    if status:
        query["status"] = status.upper()
    if tag:
        query["$or"] = [{"omniboard.tags": tag}, {"config.tags": tag}]
    return [record(document) for document in db.runs.find(query, LISTED).sort("_id", -1).limit(limit)]


def annotate(db: Documents, run_id: int, key: str, value: Any) -> None:
    """Set `sacristy.<key>` of a run from a service; the training's own writes leave it alone. Raises UnknownRun."""
    done = db.runs.update_one({"_id": run_id}, {"$set": {f"sacristy.{key}": value, CARD_DUE: ObjectId()}})
    if not done.matched_count:
        raise UnknownRun(run=run_id)


def record(document: dict[str, Any]) -> RunRecord:
    """Return a run's document as a record; what plain Sacred did not write is empty."""
    ours = document.get("sacristy") or {}
    return RunRecord(
        id=document["_id"],
        model=(document.get("experiment") or {}).get("name", ""),
        status=document.get("status", ""),
        started=_utc(document.get("start_time")),
        stopped=_utc(document.get("stop_time")),
        heartbeat=_utc(document.get("heartbeat")),
        config=document.get("config") or {},
        result=document.get("result"),
        commit=ours.get("commit", ""),
        dirty=bool(ours.get("dirty", True)),
        sources=ours.get("sources", ""),
        lock=ours.get("lock", ""),
        data=data if isinstance(data := ours.get("data"), dict) else {},
        weights=tuple(_weights(file) for file in ours.get("weights") or [] if _is_weights(file)),
        complete=bool((ours.get("journal") or {}).get("complete")) and document.get("status") == "COMPLETED",
        document=document,
    )


def _is_weights(file: Any) -> bool:
    """Say whether a file is noted as weights.save does it: a script may note anything under that name."""
    return isinstance(file, dict) and {"name", "digest", "size", "role"} <= file.keys() and type(file["size"]) is int


def _weights(file: dict[str, Any]) -> WeightsFile:
    return WeightsFile(file["name"], file["digest"], int(file["size"]), file["role"])


def _utc(moment: Any) -> datetime.datetime | None:
    if not isinstance(moment, datetime.datetime):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
