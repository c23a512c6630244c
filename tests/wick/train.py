"""The model of the cluster's training stories: plain Python, and it stands still or breaks where it is told to."""

import json
import sys
import tempfile
import time
from pathlib import Path

import sacristy
from sacristy import tracking, weights

ex = sacristy.experiment("wick")


@ex.config
def config():
    epochs = 5  # noqa: F841
    stands_at = 0  # noqa: F841 - the epoch after which it waits to be ended, if it began at the beginning
    breaks_with = 0  # noqa: F841 - an exit code


@ex.automain
def main(_run, epochs, stands_at, breaks_with):
    start = tracking.parent_checkpoint()
    state = json.loads(start.read_text()) if start else {"epoch": 0, "brightness": 0.0}
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "wick.json"
        for epoch in range(state["epoch"] + 1, epochs + 1):
            state = {"epoch": epoch, "brightness": state["brightness"] + 1 / epoch}
            _run.log_scalar("brightness", state["brightness"], epoch)
            print(f"epoch {epoch}")
            path.write_text(json.dumps(state))
            tracking.checkpoint(_run, path)
            while epoch == stands_at and not start:
                time.sleep(0.1)
        if breaks_with:
            print("the wick is wet")
            sys.exit(breaks_with)
        weights.save(_run, name)
    return {"brightness": state["brightness"]}
