"""The process beside the training that copies what it prints: first into the file, then to the terminal.

    python copier.py FILE WORDS COUNT STDOUT STDERR

The last four are inherited descriptors. From the pipes STDOUT and STDERR goes to this process's own 1 and 2. A byte on
WORDS says that the run has ended: what the pipes hold is then in the file within a second, however slow the terminal
is, and the number of bytes that the file did not take is written to COUNT. The terminal gets all, in its own time.

Imports the standard library only, and nothing of this package: it starts in a hundredth of a second.
"""

from __future__ import annotations

import collections
import contextlib
import os
import select
import sys
import threading
import time

PIECE_BYTES = 1 << 16
MOST_WAITING = 1 << 20  # bytes for a slow terminal; beyond that the training waits for it, as it would without us
POLL_S = 0.02
PATIENCE_S = 1.0  # for a child that keeps the output open after the run has ended


class Terminal:
    """Writes to a descriptor from a thread of its own, so that nobody waits for who reads it."""

    def __init__(self, number: int) -> None:
        self.waiting = 0
        self._number = number
        self._pieces: collections.deque[bytes] = collections.deque()
        self._came = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._write_all)
        self._thread.start()

    def write(self, piece: bytes) -> None:
        """Take the next bytes; an empty piece is the last one."""
        self.waiting += len(piece)
        self._pieces.append(piece)
        self._came.release()

    def _write_all(self) -> None:
        gone = False
        while self._came.acquire() and (piece := self._pieces.popleft()):
            try:
                gone = gone or write_whole(self._number, piece) > 0
            finally:
                self.waiting -= len(piece)


class Copier:
    """Copies from pipes, each to its terminal, and all into one file until the run has ended."""

    def __init__(self, file: int, words: int, count: int, terminals: dict[int, Terminal]) -> None:
        self.lost = 0
        self._file: int | None = file
        self._words: int | None = words
        self._count = count
        self._open = terminals
        self._deadline: float | None = None

    def copy(self) -> None:
        """Copy until nobody can print any more."""
        while self._open:
            self._look()
            if self._deadline is not None and time.monotonic() > self._deadline:
                self._take_rest()
                self._finish()
        self._finish()

    def _look(self) -> None:
        """Take a piece from each pipe that has one and whose terminal keeps up, or whose run has ended."""
        ending = self._deadline is not None
        pipes = [pipe for pipe, terminal in self._open.items() if ending or terminal.waiting < MOST_WAITING]
        watched = pipes if self._words is None else [*pipes, self._words]
        impatient = ending or len(pipes) < len(self._open)
        for ready in select.select(watched, [], [], POLL_S if impatient else None)[0]:
            if ready == self._words:
                self._words = None
                self._deadline = time.monotonic() + PATIENCE_S
            else:
                self._take(ready)

    def _take(self, pipe: int) -> None:
        piece = os.read(pipe, PIECE_BYTES)
        terminal = self._open[pipe]
        if not piece:
            del self._open[pipe]
        elif self._file is not None:
            self.lost += write_whole(self._file, piece)
        terminal.write(piece)

    def _take_rest(self) -> None:
        """Take what the pipes hold now, and no more, for a child may print for ever."""
        for _ in range(MOST_WAITING // PIECE_BYTES):
            for ready in select.select(list(self._open), [], [], 0)[0]:
                self._take(ready)

    def _finish(self) -> None:
        """Close the file and tell how much it lacks. From now on there is only the terminal."""
        self._deadline = None
        if self._file is None:
            return
        os.close(self._file)
        self._file = None
        with contextlib.suppress(OSError):  # the training is gone: its shipper calls the run dead
            os.write(self._count, b"%d" % self.lost)
        os.close(self._count)


def write_whole(number: int, piece: bytes) -> int:
    """Write all of it and return 0, or how many bytes were refused."""
    rest = memoryview(piece)
    while rest:
        try:
            rest = rest[os.write(number, rest) :]
        except BlockingIOError:  # somebody else made this terminal one that does not wait
            select.select([], [number], [])
        except OSError:
            break
    return len(rest)


def main() -> None:
    """Copy what the inherited descriptors named on the command line bring."""
    words, count, *pipes = map(int, sys.argv[2:])
    file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    Copier(file, words, count, {pipe: Terminal(number) for number, pipe in enumerate(pipes, 1)}).copy()


if __name__ == "__main__":
    main()
