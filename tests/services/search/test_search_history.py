"""What a search reads from its trials' runs: how each one really ended."""

from __future__ import annotations

from array import array
from types import SimpleNamespace
from typing import Any

import pytest

from sacristy.search.history import STOPPED_BY, mark_stopped, read_trials, unmark_completed
from sacristy.search.running import Search
from sacristy.search.trials import Trial, Trials
from sacristy.tracking.series import Chunk

SEARCH = 7_310_000
ENDED = {1: "COMPLETED", 2: "INTERRUPTED", 3: "FAILED", 4: "INTERRUPTED"}


@pytest.fixture
def database(mongod: Any) -> Any:
    """Four trials, three of them told to stop; number 1 was quicker."""
    found = mongod.database()
    for collection in (found.runs, found.points):
        collection.delete_many({"$or": [{key: {"$gt": SEARCH, "$lt": SEARCH + 9}} for key in ("_id", "run")]})
    for number, status in ENDED.items():
        trial = {"search": SEARCH, "number": number, "values": {"lr": number / 10}}
        found.runs.insert_one({"_id": SEARCH + number, "status": status, "sacristy": {"trial": trial}})
        points = Chunk("score", array("q", [1, 2]), array("d", [0.5, number / 2]), array("q", [0, 0]))
        found.points.insert_one(points.document() | {"run": SEARCH + number})
        if number != 4:
            mark_stopped(found, SEARCH + number, SEARCH)
    return found


def test_a_trial_that_ended_before_it_could_be_stopped_counts_as_completed(database: Any) -> None:
    assert unmark_completed(database, SEARCH) == [SEARCH + 1]
    assert unmark_completed(database, SEARCH) == []
    marked = database.runs.find({f"sacristy.{STOPPED_BY}": SEARCH}).sort("_id", 1)
    assert [run["_id"] - SEARCH for run in marked] == [2, 3]
    found = read_trials(database, SEARCH, "score", "max").by_number
    ended = {1: "COMPLETED", 2: "STOPPED", 3: "FAILED", 4: "INTERRUPTED"}
    assert {number: trial.status for number, trial in found.items()} == ended
    assert found[1].points == [0.5, 0.5]


def test_a_search_that_has_ended_takes_it_over(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Trial(1, {"lr": 0.1}, SEARCH + 1, "STOPPED", [0.5])
    plan: Any = SimpleNamespace(metric="score", mode="max")
    settings: Any = None
    search = Search(settings, database, plan, 1, "", Trials("max", {1: told}), SEARCH)
    monkeypatch.setattr(search, "_note", lambda: None)
    search._take_completed()
    assert [(trial.run, trial.points) for trial in search.trials.best(1)] == [(SEARCH + 1, [0.5, 0.5])]
    assert search.trials.count("STOPPED") == 0
