"""The driver of a search: `python -m sacristy.search.driver`, in Ray's environment.

Its plan comes as the first line of standard input, whose closing ends everything; what happens goes out as one JSON
object a line: {"event": "started" | "point" | "ended" | "over" | "failed", ...}. Nothing is kept in files: all that is
to be remembered is in the trials' own runs.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import threading
from contextlib import suppress
from typing import Any

import ray
from ray.util.queue import Queue

from sacristy.search.tuning import Emit, tune

OBJECT_STORE_BYTES = 80_000_000  # nothing large goes through it; 75 MB is the least that Ray takes
SHUTDOWN_S = 15.0
ATTEMPTS = 3  # on a busy machine Ray's parts wait for one another no longer than half a minute
CLIENT = "ray://"


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


def require_devices(count: float) -> None:
    """Raise RuntimeError if a trial wants more than this machine has: Ray would wait for them for ever."""
    there = ray.cluster_resources().get("GPU", 0)
    if count > there:
        raise RuntimeError(f"a trial wants {count:g} graphics processors (search.gpu), and there are {there:g} here")


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


def end_when_told(folder: str) -> None:
    """Wait until standard input is closed, maybe by a death; then end Ray's processes, and this one.

    Trainings end in their own time. The search removes the folder too, unless it is dead.
    """
    sys.stdin.read()
    threading.Timer(SHUTDOWN_S, leave, [folder, 1]).start()
    ray.shutdown()
    leave(folder, 0)


def leave(folder: str, code: int) -> None:
    """End this process at once, whatever its other threads are at."""
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(code)


def main() -> None:
    """Run the plan on standard input."""
    told = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what Ray prints is not for whoever reads our events
    lock = threading.Lock()

    def emit(event: dict[str, Any]) -> None:
        with lock, suppress(BrokenPipeError):  # the search died: its closed pipe ends this process in a moment
            told.write(json.dumps(event) + "\n")

    plan = json.loads(sys.stdin.readline())
    ending = threading.Thread(target=end_when_told, args=[plan["folder"]])
    ending.start()
    try:
        if plan["address"]:
            on_cluster(plan, emit)
        else:
            on_this_machine(plan)
            require_devices(plan["job"]["gpu"])
            tune(plan, emit)
    except Exception as error:
        emit({"event": "failed", "reason": f"{type(error).__name__}: {error}".splitlines()[0]})
    else:
        emit({"event": "over"})
    finally:
        with suppress(BrokenPipeError):
            told.close()
    ending.join()  # the search reads our log first


if __name__ == "__main__":
    main()
