"""What became of a search's trials, read from their runs: all that is needed to go on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from sacristy.errors import NoSearch, SearchRunning
from sacristy.search.plan import dotted
from sacristy.search.trials import OVER, Trial, Trials
from sacristy.tracking.database import Documents
from sacristy.tracking.resync import reap
from sacristy.tracking.runs import annotate, find_run
from sacristy.tracking.series import read_metrics

SETTLED_S = 60.0  # longer than the reaper takes to know a dead run
POLL_S = 0.3
BEST = "best"
STOPPED_BY = "stopped_by"  # `sacristy.stopped_by` of a trial's run: the search that ended it early, on purpose


def find_search(database: Documents, model: str, run: int) -> dict[str, Any]:
    """Return the document of a search's run. Raises UnknownRun or NoSearch."""
    document = find_run(database, run).document
    if "plan" not in (document.get("sacristy", {}).get("search") or {}) or document["experiment"]["name"] != model:
        raise NoSearch(run=run, model=model)
    return document


def root_of(document: dict[str, Any]) -> int:
    """Return the run with which a search began."""
    return int(document["sacristy"]["search"].get("root") or document["_id"])


def settle(database: Documents, root: int, within_s: float = SETTLED_S, but: int | None = None) -> None:
    """Wait until nothing of a search runs any more, `but` one run; the dead are marked. Raises SearchRunning."""
    deadline = time.monotonic() + within_s
    while running := still_running(database, root, but):
        if time.monotonic() > deadline:
            raise SearchRunning(run=root, runs=", ".join(map(str, running)))
        reap(database)
        time.sleep(POLL_S)


def still_running(database: Documents, root: int, but: int | None = None) -> list[int]:
    """Return the runs of a search, its own and its trials', that have not ended."""
    ours = [{"_id": root}, {"sacristy.search.root": root}, {"sacristy.trial.search": root}]
    query = {"status": "RUNNING", "_id": {"$ne": but}, "$or": ours}
    return [run["_id"] for run in database.runs.find(query, {"_id": 1}).sort("_id", 1)]


def read_trials(database: Documents, root: int, metric: str, mode: str) -> Trials:
    """Return all trials of a search that runs know of; of one with several runs, the run that came furthest."""
    trials = Trials(mode)
    fields = {"status": 1, "sacristy.trial": 1, f"sacristy.{STOPPED_BY}": 1}
    for document in database.runs.find({"sacristy.trial.search": root}, fields).sort("_id", 1):
        ours = document["sacristy"]
        values = dotted(ours["trial"]["values"])
        trial = Trial(ours["trial"]["number"], values, document["_id"], _status(document))
        known = trials.by_number.get(trial.number)
        if known is None or known.status not in OVER:
            trials.by_number[trial.number] = trial
    for trial in trials.over():
        series = read_metrics(database, trial.run).get(metric) if trial.run else None
        trial.points = list(series.values) if series else []
        if trial.status == "COMPLETED" and not trial.points:
            trial.status = "FAILED"
    return trials


def _status(document: dict[str, Any]) -> str:
    if document["status"] in ("COMPLETED", "FAILED"):  # told to stop or not
        return str(document["status"])
    return "STOPPED" if document["sacristy"].get(STOPPED_BY) else "INTERRUPTED"


def mark_stopped(database: Documents, run: int, search: int) -> None:
    """Note on a trial's run that it was ended on purpose."""
    annotate(database, run, STOPPED_BY, search)


def unmark_completed(database: Documents, search: int) -> list[int]:
    """Take the note from trials that were trained to their end before they could be stopped; return their runs."""
    quicker = {f"sacristy.{STOPPED_BY}": search, "status": "COMPLETED"}
    runs = [run["_id"] for run in database.runs.find(quicker, {"_id": 1})]
    database.runs.update_many({"_id": {"$in": runs}}, {"$unset": {f"sacristy.{STOPPED_BY}": ""}})
    return runs


def tag_best(database: Documents, root: int, runs: Sequence[int]) -> None:
    """Give the tag `best` to these runs of a search, and take it from its others."""
    others = {"sacristy.trial.search": root, "_id": {"$nin": list(runs)}, "omniboard.tags": BEST}
    database.runs.update_many(others, {"$pull": {"omniboard.tags": BEST}})
    database.runs.update_many({"_id": {"$in": list(runs)}}, {"$addToSet": {"omniboard.tags": BEST}})
