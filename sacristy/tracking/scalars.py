"""log_scalar: from the training loop into the journal, in a few microseconds and without waiting for anything."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from sacristy.tracking.journal import Journal
from sacristy.tracking.values import NotANumber, as_number, as_step, brief, clean

LEAST, MOST = -(2**63), 2**63 - 1
LONGEST_NAME = 500
SHOWN = 40
REPORTS = 5  # lines for each metric; later refusals are only counted


class Scalars:
    """Writes points as journal lines. `clock_offset` (s) makes the monotonic clock tell the time of day."""

    def __init__(self, journal: Journal, clock_offset: float, report: Callable[[str], None]) -> None:
        self.refused: Counter[str] = Counter()
        self._journal = journal
        self._offset = clock_offset
        self._report = report
        self._prefixes: dict[str, str] = {}
        self._steps: dict[str, int] = {}

    def log(self, metric_name: str, value: float, step: int | None = None) -> None:
        """Record a metric's value. Without a step it is one more than the last.

        Anything that is not a number is refused with one line and ends nothing.
        """
        if type(value) is not float or type(metric_name) is not str:
            self._log_other(metric_name, value, step)
            return
        prefix = self._prefixes.get(metric_name) or self._declare(metric_name)
        if not prefix:
            self._refuse(metric_name[:SHOWN] + "…", value, f"its name is longer than {LONGEST_NAME} characters")
            return
        if step is None:
            step = self._steps[metric_name] + 1
        elif type(step) is not int:
            self._log_other(metric_name, value, step)
            return
        elif not LEAST <= step <= MOST:
            self._refuse(metric_name, value, f"its step {step:.3e} is beyond 64 bits")
            return
        self._steps[metric_name] = step
        number = _not_finite(value) if value - value else repr(value)
        now = int((time.monotonic() + self._offset) * 1000)
        self._journal.append(f"{prefix}{step},{number},{now}]\n".encode())

    def _log_other(self, name: Any, value: Any, step: Any) -> None:
        text = name if isinstance(name, str) else brief(name)
        try:
            number = as_number(value)
        except NotANumber:
            self._refuse(text, value, "it is not a number")
            return
        try:
            whole = None if step is None else as_step(step)
        except NotANumber:
            self._refuse(text, value, f"its step {brief(step)} is not a whole number")
            return
        self.log(str(text), number, whole)

    def _declare(self, name: str) -> str:
        """Prepare a new metric; its prefix stays empty if it is none."""
        if len(name) > LONGEST_NAME:
            return ""
        self._steps[name] = -1
        self._prefixes[name] = f"[{json.dumps(clean(name))},"
        return self._prefixes[name]

    def _refuse(self, name: str, value: Any, reason: str) -> None:
        self.refused[name] += 1
        if self.refused[name] <= REPORTS:
            more = "; more of these are only counted" if self.refused[name] == REPORTS else ""
            self._report(f"metric {clean(name)!r}: the value {brief(value)} is refused: {reason}{more}")


def _not_finite(value: float) -> str:
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
