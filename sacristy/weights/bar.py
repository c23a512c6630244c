"""How far storing has come, as one line on a terminal. Models' environments hold no library for that.

It goes past what a run records: a bar is no output of the training. Nobody waits for a terminal that takes nothing now.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sacristy.weights.store import Progress, silent

EVERY_S = 0.2
WIDTH = 30  # cells of the bar; the whole line has some 60 characters
MIB = 1 << 20
CLEAR = "\r\x1b[K"


@contextmanager
def bar(terminal: int | None, text: str, total: int, clock: Callable[[], float] = time.monotonic) -> Iterator[Progress]:
    """Give a function to be called with the bytes done since the last call, from any thread.

    `terminal`: a descriptor; None shows nothing. What is over within EVERY_S shows nothing either; the line is removed
    at the end.
    """
    if terminal is None:
        yield silent
        return
    line = _Line(terminal, text, total, clock)
    try:
        yield line.advance
    finally:
        line.remove()


class _Line:
    def __init__(self, terminal: int, text: str, total: int, clock: Callable[[], float]) -> None:
        self._terminal, self._text, self._total, self._clock = terminal, text, total, clock
        self._done, self._said, self._shown = 0, clock(), False
        self._lock = threading.Lock()

    def advance(self, count: int) -> None:
        with self._lock:
            self._done += count
            if self._clock() - self._said >= EVERY_S:
                self._said, self._shown = self._clock(), True
                self._write(CLEAR + drawn(self._text, self._done, self._total))

    def remove(self) -> None:
        if self._shown:
            self._write(CLEAR)

    def _write(self, line: str) -> None:
        with suppress(OSError, ValueError):  # it is gone
            if select.select([], [self._terminal], [], 0)[1]:
                os.write(self._terminal, line.encode())


def drawn(text: str, done: int, total: int) -> str:
    """Return the line: a bar and MiB, never more than full."""
    done = min(done, total)
    full = WIDTH * done // total if total else WIDTH
    return f"{text} {'━' * full}{'─' * (WIDTH - full)} {done // MIB} of {total // MIB} MiB"
