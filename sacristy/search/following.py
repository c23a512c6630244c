"""A training's journal read as it grows, by whoever started it. Standard library only: it runs where Ray's workers do.

The journal's folder is removed once all of it is in MongoDB; the open file stays readable.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, BinaryIO

EVENTS, RUN = "events.jsonl", "run.json"  # as tracking/journal.py has them


class Following:
    """The points of one metric in the journal of the run that was started with `token`."""

    def __init__(self, journals: Path, model: str, token: str, metric: str) -> None:
        self.run: int | None = None
        self._journals, self._model, self._token, self._metric = journals, model, token, metric
        self._others: set[Path] = set()
        self._folder: Path | None = None
        self._file: BinaryIO | None = None
        self._rest = b""

    def points(self) -> list[tuple[int, float]]:
        """Return the steps and values logged since the last call; none before the run has begun."""
        if self._file is None:
            self._find()
        if self._file is None:
            return []
        self._look_for_number()
        lines = (self._rest + self._file.read()).split(b"\n")
        self._rest = lines.pop()
        found = (_point(line, self._metric) for line in lines if line.startswith(b"["))
        return [point for point in found if point]

    def close(self) -> None:
        """Close the journal."""
        if self._file:
            self._file.close()

    def _find(self) -> None:
        for path in self._journals.glob(f"{self._model}-*/{EVENTS}"):
            if path in self._others:
                continue
            try:
                file = path.open("rb")
            except OSError:
                continue
            first = file.readline()
            if first.endswith(b"\n") and _token(first) == self._token:
                self._folder, self._file = path.parent, file
                return
            file.close()
            if first.endswith(b"\n"):
                self._others.add(path)

    def _look_for_number(self) -> None:
        if self.run is None and self._folder:
            try:
                self.run = json.loads((self._folder / RUN).read_bytes()).get("id")
            except (OSError, ValueError):
                return


def _token(line: bytes) -> Any:
    try:
        return json.loads(line)["document"]["sacristy"].get("token")
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _point(line: bytes, metric: str) -> tuple[int, float] | None:
    try:
        name, step, value, _ = json.loads(line)
        return (int(step), float(value)) if name == metric else None
    except (ValueError, TypeError, OverflowError):
        return None
