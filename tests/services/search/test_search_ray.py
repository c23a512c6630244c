"""Searches with the real Ray: every trial a run, bad ones stopped early, nothing lost or left whatever is killed."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import gridfs
import psutil
import pytest

from sacristy.search.driving import PREFIX

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]
LONG = ("with", "epochs=30")  # a trial of a few epochs can be at its end before it is stopped


def numbers(runs: list[dict[str, Any]]) -> list[int]:
    return sorted(run["sacristy"]["trial"]["number"] for run in runs)


def test_each_trial_is_a_run_and_bad_ones_are_stopped_early(bench: Any, leftovers: Callable[[], list[str]]) -> None:
    found = bench.json("search", "digits", "--trials", "6", "--parallel", "2", "--json", *LONG)
    runs = bench.trials(found["search"])
    assert numbers(runs) == [1, 2, 3, 4, 5, 6]
    stopped = [run for run in runs if run["sacristy"].get("stopped_by") == found["search"]]
    assert stopped
    assert {run["status"] for run in stopped} == {"INTERRUPTED"}
    assert all(run["sacristy"]["journal"]["complete"] for run in runs)

    best = max((run for run in runs if run["status"] == "COMPLETED"), key=last_accuracy(found))
    assert found["best"] == [best["_id"]]
    assert [run["_id"] for run in runs if "best" in run.get("omniboard", {}).get("tags", [])] == found["best"]

    parent = bench.database.runs.find_one({"_id": found["search"]})
    assert (parent["status"], parent["sacristy"]["journal"]["complete"]) == ("COMPLETED", True)
    assert parent["result"]["best_run"] == best["_id"]
    assert [trial["run"] for trial in parent["sacristy"]["search"]["trials"]] == [t["run"] for t in found["trials"]]
    card = gridfs.GridFS(bench.database).get(next(a["file_id"] for a in parent["artifacts"])).read().decode()
    assert card.count("<polyline points") >= 6
    assert leftovers() == []


def last_accuracy(found: dict[str, Any]) -> Callable[[dict[str, Any]], float]:
    values = {trial["run"]: trial["value"] for trial in found["trials"]}
    return lambda run: float(values[run["_id"]])


def test_a_search_that_is_killed_goes_on_to_exactly_its_trials(bench: Any, leftovers: Callable[[], list[str]]) -> None:
    before = bench.newest()
    options = ("--trials", "4", "--parallel", "2", "--sampler", "optuna")
    killed = bench.start("search", "digits", *options, "with", "epochs=20")
    search = bench.searching(before)
    over = {"$or": [{"status": "COMPLETED"}, {"sacristy.stopped_by": search}]}
    bench.until(lambda: bench.trials(search, **over) and bench.trials(search, status="RUNNING"))
    killed.kill()
    killed.wait()
    bench.until(lambda: not bench.trials(search, status="RUNNING"))
    bench.until(lambda: not leftovers())
    cut_off = [run for run in bench.trials(search, status="INTERRUPTED") if "stopped_by" not in run["sacristy"]]
    assert cut_off
    assert all(run["sacristy"]["journal"]["complete"] for run in cut_off)

    found = bench.json("search", "digits", "--resume", str(search), "--json")
    assert [trial["number"] for trial in found["trials"]] == [1, 2, 3, 4]
    assert {trial["status"] for trial in found["trials"]} <= {"COMPLETED", "STOPPED"}
    runs = bench.trials(search)
    assert {run["status"] for run in runs} <= {"COMPLETED", "INTERRUPTED"}
    again = {run["sacristy"]["trial"]["number"] for run in cut_off}
    values = {run["_id"]: run["sacristy"]["trial"] for run in runs}
    for number in again:  # the same values once more
        assert len({str(trial["values"]) for trial in values.values() if trial["number"] == number}) == 1
    assert bench.database.runs.find_one({"_id": search})["status"] == "DEAD"
    assert bench.database.runs.find_one({"_id": found["search"]})["sacristy"]["parent"] == search
    assert leftovers() == []


@pytest.mark.parametrize("how", ["ctrl-c", "driver killed"])
def test_trials_end_well_when_their_search_does(bench: Any, leftovers: Callable[[], list[str]], how: str) -> None:
    before = bench.newest()
    process = bench.start("search", "digits", "--trials", "4", "--parallel", "2", "with", "epochs=2000")
    search = bench.searching(before)
    bench.until(lambda: len(bench.trials(search, status="RUNNING")) == 2)
    assert listening() <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    if how == "ctrl-c":
        process.send_signal(signal.SIGINT)
    else:
        driver_of(process.pid).kill()
    assert process.wait(180) == (130 if how == "ctrl-c" else 1)
    ended = bench.trials(search)
    if how == "ctrl-c":
        assert {run["status"] for run in ended} == {"INTERRUPTED"}
        assert all(run["sacristy"]["journal"]["complete"] for run in ended)
    else:  # a training may be told twice to end, by Ray and by the kernel: the second time it ends at once
        assert {run["status"] for run in ended} <= {"INTERRUPTED", "DEAD"}
    parent = bench.database.runs.find_one({"_id": search})
    assert parent["status"] == ("INTERRUPTED" if how == "ctrl-c" else "FAILED")
    assert {trial["status"] for trial in parent["sacristy"]["search"]["trials"]} == {"INTERRUPTED"}
    assert leftovers() == []


def driver_of(process: int) -> psutil.Process:
    """Return the driver that a search has started."""
    children = psutil.Process(process).children()
    return next(child for child in children if "sacristy.search.driver" in child.cmdline())


def listening() -> set[str]:
    """Return the addresses at which the parts of a search's Ray listen."""
    parts = [part for part in psutil.process_iter(["cmdline"]) if PREFIX in " ".join(part.info["cmdline"] or [])]
    sockets = [socket for part in parts for socket in part.net_connections() if socket.status == psutil.CONN_LISTEN]
    return {socket.laddr.ip for socket in sockets}
