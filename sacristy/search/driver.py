"""The driver of a search: `python -m sacristy.search.driver`, in Ray's environment.

Its plan comes as the first line of standard input, whose closing ends everything; what happens goes out as one JSON
object a line: {"event": "started" | "point" | "ended" | "over" | "failed", ...}. Nothing is kept in files: all that is
to be remembered is in the trials' own runs.
"""

from __future__ import annotations

import json
import math
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import ray
from ray.tune import Callback, RunConfig, TuneConfig, Tuner, with_resources
from ray.util.queue import Queue

from sacristy.search.samplers import Numbered, stopper
from sacristy.search.trial import Training

OBJECT_STORE_BYTES = 80_000_000  # nothing large goes through it; 75 MB is the least that Ray takes
ATTEMPTS = 3  # on a busy machine Ray's parts wait for one another no longer than half a minute
CLIENT = "ray://"
Emit = Callable[[dict[str, Any]], None]


class Teller(Callback):
    """Tells what becomes of each trial."""

    def __init__(self, emit: Emit) -> None:
        self.emit = emit

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what cannot be written down; Tune writes its state into a folder that is thrown away."""
        return {}

    def __deepcopy__(self, _memo: Any) -> Teller:
        """Stay the same one."""
        return self

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """A trial begins."""
        self._tell("started", trial, values=trial.config["values"])

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        """A trial has logged a point."""
        if not result.get("ended"):
            self._tell("point", trial, run=result["run"], step=result["step"], value=result["value"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """A trial has come to its end, or was stopped."""
        last = trial.last_result or {}
        status = "COMPLETED" if last.get("ended") else "STOPPED"
        self._tell("ended", trial, status=status, run=last.get("run"))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """A trial has failed."""
        lines = str(trial.get_error() or "").strip().splitlines() or ["no reason given"]
        run = (trial.last_result or {}).get("run")
        self._tell("ended", trial, status="FAILED", run=run, reason=lines[-1])

    def _tell(self, event: str, trial: Any, **fields: Any) -> None:
        self.emit({"event": event, "trial": trial.config["number"], **fields})


def tune(plan: dict[str, Any], emit: Emit) -> None:
    """Run all trials of a plan in the Ray that this process belongs to."""
    job = plan["job"]
    resources = {"cpu": job["cpu"], "gpu": job["gpu"]}
    options = TuneConfig(
        search_alg=Numbered(plan),
        scheduler=stopper(plan),
        num_samples=plan["trials"] - len(plan["past"]),
        max_concurrent_trials=plan["parallel"],
        reuse_actors=True,
    )
    run = RunConfig(name="search", storage_path=plan["folder"], callbacks=[Teller(emit)], verbose=0)
    Tuner(with_resources(Training, resources), tune_config=options, run_config=run).fit()


def on_this_machine(plan: dict[str, Any]) -> None:
    """Start a Ray of its own, on loopback only, without a dashboard."""
    cores = plan["parallel"] * plan["job"]["cpu"]
    for attempt in range(1, ATTEMPTS + 1):
        try:
            ray.init(
                num_cpus=math.ceil(cores),  # as many as the trials say they need: it is the user's word
                include_dashboard=False,
                _temp_dir=plan["folder"],
                object_store_memory=OBJECT_STORE_BYTES,
                log_to_driver=False,
                configure_logging=False,
            )
            return
        except Exception as error:
            if attempt == ATTEMPTS:
                raise
            print(f"Ray did not start: {error}; trying again", file=sys.stderr, flush=True)
            ray.shutdown()


def on_cluster(plan: dict[str, Any], emit: Emit) -> None:
    """Run the search on a Ray that is there already; through a Ray client it is driven from within the cluster."""
    ray.init(address=plan["address"], log_to_driver=False, configure_logging=False)
    if not plan["address"].startswith(CLIENT):
        tune(plan, emit)
        return
    queue = Queue(actor_options={"num_cpus": 0})
    driving = ray.remote(num_cpus=0)(tune).remote(plan, queue.put)
    while True:
        ended, _ = ray.wait([driving], timeout=0.2)
        for event in queue.get_nowait_batch(queue.qsize()):
            emit(event)
        if ended and queue.empty():
            ray.get(driving)
            return


def end_when_told() -> None:
    """Wait until standard input is closed; then end Ray's processes and this one. Trainings end in their own time."""
    sys.stdin.read()
    threading.Timer(10, os._exit, [1]).start()
    ray.shutdown()
    os._exit(0)


def main() -> None:
    """Run the plan on standard input."""
    told = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what Ray prints is not for whoever reads our events
    lock = threading.Lock()

    def emit(event: dict[str, Any]) -> None:
        with lock:
            told.write(json.dumps(event) + "\n")

    plan = json.loads(sys.stdin.readline())
    threading.Thread(target=end_when_told, daemon=True).start()
    try:
        if plan["address"]:
            on_cluster(plan, emit)
        else:
            on_this_machine(plan)
            tune(plan, emit)
    except Exception as error:
        emit({"event": "failed", "reason": f"{type(error).__name__}: {error}".splitlines()[0]})
    else:
        emit({"event": "over"})
    ray.shutdown()


if __name__ == "__main__":
    main()
