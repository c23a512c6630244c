"""The trials of a search as its driver tells of them: events in, records out. No clock, no database."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

OVER = ("COMPLETED", "STOPPED", "FAILED")  # such a trial is not repeated
WORST = 1e30  # as in trial.py


@dataclass
class Trial:
    """One trial. `status`: RUNNING, COMPLETED, STOPPED (early, on purpose), FAILED, or INTERRUPTED."""

    number: int
    values: dict[str, Any]
    run: int | None = None
    status: str = "RUNNING"
    points: list[float] = field(default_factory=list)
    reason: str = ""

    @property
    def value(self) -> float | None:
        """The metric as last logged."""
        return self.points[-1] if self.points else None

    def plain(self) -> dict[str, Any]:
        """Return what the search's run notes of it."""
        value = self.value if self.value is not None and math.isfinite(self.value) else None
        found = {"number": self.number, "values": self.values, "run": self.run, "status": self.status, "value": value}
        return found | ({"reason": self.reason} if self.reason else {})

    def past(self, mode: str) -> dict[str, Any]:
        """Return what samplers learn from it; what is no number counts as the worst there is."""
        worst = -WORST if mode == "max" else WORST
        points = [point if math.isfinite(point) else worst for point in self.points]
        return {"number": self.number, "values": self.values, "points": points}


@dataclass
class Trials:
    """All trials of a search by number. `mode`: whether max or min of the metric is best."""

    mode: str
    by_number: dict[int, Trial] = field(default_factory=dict)

    def apply(self, event: dict[str, Any]) -> Trial:
        """Take an event of the driver, and return its trial."""
        number = event["trial"]
        if event["event"] == "started":
            self.by_number[number] = Trial(number, event["values"])
        trial = self.by_number[number]
        trial.run = event.get("run") or trial.run
        if event["event"] == "point":
            trial.points.append(float(event["value"]))
        elif event["event"] == "ended":
            trial.status, trial.reason = event["status"], event.get("reason", "")
        return trial

    def interrupt(self) -> None:
        """Note that whatever still ran was cut off."""
        for trial in self.by_number.values():
            if trial.status == "RUNNING":
                trial.status = "INTERRUPTED"

    def over(self) -> list[Trial]:
        """Return the trials that need no repetition, by number."""
        return [trial for trial in self._ordered() if trial.status in OVER]

    def unfinished(self) -> list[Trial]:
        """Return the trials that were cut off, by number."""
        return [trial for trial in self._ordered() if trial.status not in OVER]

    def best(self, count: int) -> list[Trial]:
        """Return the best trials that were trained to their end, the best first; of equals the earlier one."""
        sign = -1 if self.mode == "max" else 1
        good = [trial for trial in self._ordered() if trial.status == "COMPLETED" and math.isfinite(trial.value or 0)]
        return sorted((t for t in good if t.value is not None), key=lambda trial: sign * (trial.value or 0))[:count]

    def count(self, status: str) -> int:
        """Return how many trials have a status."""
        return sum(trial.status == status for trial in self.by_number.values())

    def plain(self) -> list[dict[str, Any]]:
        """Return all trials as the search's run notes them."""
        return [trial.plain() for trial in self._ordered()]

    def _ordered(self) -> Iterable[Trial]:
        return (self.by_number[number] for number in sorted(self.by_number))
