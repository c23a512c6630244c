"""The training process's handle on its shipper: a process of its own, so that shipping never holds the GIL.

The two share the journal's folder and a pipe, whose closing (by the end or the death of the trainer) wakes the
shipper. A dead trainer's shipper therefore still sends everything.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import sacristy
from sacristy.settings import Settings
from sacristy.tracking.journal import RUN

START_WAIT_S = 3.0
END_WAIT_S = 10.0  # without any progress
LOG = "shipper.log"
NO_ANSWER = "MongoDB has not answered yet"


class Shipment:
    """Starts the shipper at construction."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.folder = folder
        paths = [str(Path(sacristy.__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | {
            "SACRISTY_PROJECT": str(settings.project),
            "SACRISTY_HOME": str(settings.home),
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        }
        with (folder / LOG).open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sacristy.tracking.shipper", str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=settings.project,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the training
            )

    def wait_for_number(self) -> tuple[int | None, str]:
        """Return the run's number, or None and what troubles the shipper, within 3 s."""
        deadline = time.monotonic() + START_WAIT_S
        while time.monotonic() < deadline:
            state = read_state(self.folder)
            if state.get("id") is not None:
                return int(state["id"]), ""
            if state.get("trouble") or self._process.poll() is not None:
                break
            time.sleep(0.005)
        return None, self._trouble()

    def number(self) -> int | None:
        """Return the run's number if the database has given one by now."""
        number = read_state(self.folder).get("id")
        return None if number is None else int(number)

    def wake(self) -> None:
        """Tell the shipper that nothing more will come."""
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()

    def finish(self) -> str:
        """Wait while the shipper makes progress; return an empty string, or why something remains to be sent."""
        self.wake()
        seen, since = b"", time.monotonic()
        while self._process.poll() is None and time.monotonic() - since < END_WAIT_S:
            state = _content(self.folder)
            if state != seen:
                seen, since = state, time.monotonic()
            time.sleep(0.01)
        if self._process.poll() is None:
            self._process.terminate()  # harmless at any point: sending is idempotent
        code = self._process.wait()
        return "" if code == 0 else self._trouble()

    def _trouble(self) -> str:
        state = read_state(self.folder)
        if state.get("trouble"):
            return str(state["trouble"])
        if self._process.poll() in (None, 0):
            return NO_ANSWER
        try:
            lines = (self.folder / LOG).read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return f"the shipper ended with code {self._process.returncode}: {lines[-1] if lines else 'no reason given'}"


def read_state(folder: Path) -> dict[str, Any]:
    """Return what the shipper last wrote: `id`, `events` sent, `trouble`; empty before its first word."""
    try:
        state = json.loads(_content(folder))
    except ValueError:
        return {}
    return state if isinstance(state, dict) else {}


def _content(folder: Path) -> bytes:
    try:
        return (folder / RUN).read_bytes()
    except OSError:
        return b""
