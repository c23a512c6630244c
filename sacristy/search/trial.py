"""One trial, in a Ray worker: a training in the model's environment, an ordinary Sacred run, watched by its journal.

It runs in Ray's environment (deploy/search). On a cluster the worker's own SACRISTY_* variables say where things are.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import secrets
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from ray.tune import Trainable

from sacristy.ranks import training_command
from sacristy.search.following import Following
from sacristy.search.space import training_words

POLL_S = 0.1
ENDING_S = 60.0  # for a training that was told to stop: it stores everything first
WORST = 1e30  # stands for what is no number: the rungs' percentiles need one
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class TrialFailed(Exception):
    """A training ended badly, or without a word about the metric."""


class Training(Trainable):
    """Reports each point of the metric as a result; told to stop, it ends the training as INTERRUPTED."""

    def setup(self, config: dict[str, Any]) -> None:
        """Start the training."""
        token = secrets.token_hex(16)
        home = Path(os.environ["SACRISTY_HOME"])
        self.trial, self.count = config, 0
        self.last = math.nan
        self.waiting: list[tuple[int, float]] = []
        self.journal = Following(home / "journals", config["model"], token, config["metric"])
        self.printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed in cleanup
        self.process = subprocess.Popen(
            command(config, os.environ),
            cwd=os.environ["SACRISTY_PROJECT"],
            env=environment(config, os.environ, token),
            stdin=subprocess.DEVNULL,
            stdout=self.printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # whatever ends Ray's processes is not to kill it
            preexec_fn=_end_with_worker,  # one call of the C library, which is loaded
        )

    def step(self) -> dict[str, Any]:
        """Return the next point of the metric; at the training's end, the last one again. Raises TrialFailed."""
        while True:
            ended = self.process.poll() is not None
            self.waiting += self.journal.points()
            if self.waiting:
                return self._result(*self.waiting.pop(0))
            if ended:
                return self._ended()
            time.sleep(POLL_S)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Go on to another trial in the same process."""
        self.cleanup()
        self.setup(new_config)
        return True

    def cleanup(self) -> None:
        """End the training, if it still runs, and wait until all of it is stored."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(ENDING_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.journal.close()
        self.printed.close()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Do nothing: what a trial knows is in its run."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Do nothing, as there is none."""

    def _result(self, step: int, value: float) -> dict[str, Any]:
        self.count, self.last = self.count + 1, value
        return self._report() | {"step": step}

    def _ended(self) -> dict[str, Any]:
        if self.process.returncode:
            raise TrialFailed(f"run {self.journal.run} ended with code {self.process.returncode}: {self._last_line()}")
        if not self.count:
            raise TrialFailed(f"run {self.journal.run} ended without logging {self.trial['metric']!r}")
        return self._report() | {"done": True, "ended": True}

    def _report(self) -> dict[str, Any]:
        worst = -WORST if self.trial["mode"] == "max" else WORST
        score = self.last if math.isfinite(self.last) else worst
        return {"score": score, "value": self.last, "points": self.count, "run": self.journal.run}

    def _last_line(self) -> str:
        self.printed.seek(0)
        lines = self.printed.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it printed nothing"


def command(config: dict[str, Any], given: Any) -> list[str]:
    """Return the command of a trial's training on this worker."""
    python = Path(given["SACRISTY_ENVIRONMENTS"], config["environment"], "venv", "bin", "python")
    script = Path(given["SACRISTY_PROJECT"], "models", config["model"], "train.py")
    comment = f"search {config['search']}, trial {config['number']}"
    words = training_words(config["words"], config["values"], comment)
    return training_command(python, script, words, config["ranks"])


def environment(config: dict[str, Any], given: Any, token: str) -> dict[str, str]:
    """Return the variables of a trial's training: the worker's own, what its run notes, and nothing of Ray's."""
    kept = {name: value for name, value in given.items() if not name.startswith(("RAY_", "TUNE_", "OMP_"))}
    trial = {name: config[name] for name in ("search", "number", "values")}
    ours = {"SACRISTY_TOKEN": token, "SACRISTY_TRIAL": json.dumps(trial), "PYTHONUNBUFFERED": "1"}
    return kept | ours | {"PYTHONPATH": given["SACRISTY_PROJECT"]}


def _end_with_worker() -> None:
    """Have the kernel send SIGHUP to the training when this worker dies, however it does.

    Not SIGTERM: a worker is often killed while it waits for a training that it has told to end, and a second SIGTERM
    would cut that off before everything is stored.
    """
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGHUP)
