# Sacred says that it is typed, and is not:
# mypy: disable-error-code="no-untyped-call"
"""A Sacred Run that is recorded by the journal. The places where Sacred 0.8.7 would lose or wait are overridden."""

from __future__ import annotations

import datetime
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, cast

from sacristy import ranks, settings
from sacristy.tracking.capture import Capture, shown
from sacristy.tracking.journal import OUTPUT
from sacristy.tracking.observer import JournalObserver
from sacristy.tracking.quiet_sacred import SETTINGS, Run
from sacristy.tracking.values import NotANumber, as_number

ENDINGS = (signal.SIGTERM, signal.SIGHUP)
STDERR = 2
TERMINATED_EXIT_CODE = 128 + signal.SIGTERM
AFTER_RANK_0_S = 5.0


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP arrived. Not an Exception, so that a training loop's `except Exception` does not swallow it."""

    STATUS = "INTERRUPTED"


class RecordedRun(Run):
    """What the experiment turns Sacred's Run into."""

    experiment: Any
    observer: JournalObserver | None = None
    _capture: Capture | None = None
    _monotonic_start = 0.0

    def __call__(self, *args: Any) -> Any:
        """Run; SIGTERM, or the end of its terminal, ends it as INTERRUPTED with everything stored and exit code 143."""
        if self.unobserved:
            if ranks.is_beside_rank_0():
                _let_rank_0_end_first()
            return super().__call__(*args)
        name, folder = self.experiment.path, Path(self.experiment.base_dir)
        strict = self.experiment.on_full_disk == "stop"
        self.observer = JournalObserver(settings.load(), name, folder, report, strict=strict)
        self.observers = [self.observer, *self.observers]
        self._captures = (self.capture_mode or SETTINGS.CAPTURE_MODE) != "no"
        self.capture_mode = "no"  # Sacred's own keeps all text in memory and fails on bytes that are no UTF-8
        try:
            with _terminations():
                return super().__call__(*args)
        except Terminated:
            raise SystemExit(TERMINATED_EXIT_CODE) from None

    @property
    def terminal(self) -> int | None:
        """The terminal that errors go to, as a descriptor: what is written there is not recorded. None without one."""
        if self._capture:
            return self._capture.terminal
        return STDERR if os.isatty(STDERR) else None

    def log_scalar(self, metric_name: str, value: float, step: int | None = None) -> None:
        """Record a metric's value, for other observers too; without any of them, let it go."""
        if self.observer:
            self.observer.scalars.log(metric_name, value, step)
            with suppress(NotANumber):
                super().log_scalar(metric_name, as_number(value), step)

    def _emit_started(self) -> None:
        self._monotonic_start = time.monotonic()
        if self.observer:
            if self._captures:
                self._capture = Capture(self.observer.journal.folder / OUTPUT)
            if len(self.observers) == 1:
                # An attribute of the run hides the method: nothing stays between the training loop and the journal.
                setattr(self, "log_scalar", self.observer.scalars.log)  # noqa: B010
        super()._emit_started()

    def _emit_heartbeat(self) -> None:
        if self._id is None and self.observer:
            self._id = self.observer.shipment.number()
        super()._emit_heartbeat()

    def _stop_heartbeat(self) -> None:
        super()._stop_heartbeat()  # every way of ending passes here before its last event
        if self._capture:
            missing, self._capture = self._capture.stop(), None
            if missing and self.observer:
                self.observer.journal.lost += 1
                report(f"{missing} is not recorded")

    def _get_captured_output(self) -> None:
        if self.observer and self._captures:
            text = shown(self.observer.journal.folder / OUTPUT).text
            self.captured_out = self.captured_out_filter(text) if self.captured_out_filter else text

    def _stop_time(self) -> datetime.timedelta:
        elapsed = datetime.timedelta(seconds=round(time.monotonic() - self._monotonic_start, 3))
        self.stop_time = (
            cast(datetime.datetime, self.start_time) + elapsed
        )  # never before the start, even if the clock was set back
        return datetime.timedelta(seconds=round(elapsed.total_seconds()))


def report(line: str) -> None:
    """Say something to the person at the terminal, beside whatever the run prints."""
    print(f"sacristy: {line}", file=sys.stderr, flush=True)


@contextmanager
def _terminations() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(_number: int, _frame: FrameType | None) -> None:
        for each in before:
            # A second SIGTERM ends the waiting at once; a terminal or a parent that goes too asks for nothing more.
            signal.signal(each, signal.SIG_DFL if each == signal.SIGTERM else signal.SIG_IGN)
        raise Terminated

    asked = [each for each in ENDINGS if signal.getsignal(each) is not signal.SIG_IGN]  # nohup ignores one
    before = {each: signal.signal(each, terminate) for each in asked}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _let_rank_0_end_first() -> None:
    """End a rank that records nothing some seconds after it is told to: rank 0 may need it for a step that it is in."""

    def end_soon(number: int, _frame: FrameType | None) -> None:
        ending = threading.Timer(AFTER_RANK_0_S, os._exit, [128 + number])
        ending.daemon = True
        ending.start()

    for each in (*ENDINGS, signal.SIGINT):
        signal.signal(each, end_soon)
