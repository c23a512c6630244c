"""Everything a run prints, from Python, C or child processes, goes to the terminal and into a file.

`tee` does the copying, as in Sacred, but straight into the journal: the training process keeps no text in
memory, its death loses none, and bytes that are no UTF-8 do no harm.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HEAD_BYTES = 32 * 1024
TAIL_BYTES = 96 * 1024
PATIENCE_S = 1.0  # for a child that keeps the output open after the run has ended


class Capture:
    """Copies file descriptors 1 and 2 into a file from construction until `stop`."""

    def __init__(self, target: Path) -> None:
        _flush()
        self._saved = {number: os.dup(number) for number in (1, 2)}
        self._tees = [_tee(target, number) for number in (1, 2)]
        for number, tee in zip((1, 2), self._tees, strict=True):
            assert tee.stdin is not None  # noqa: S101 - a pipe was asked for
            os.dup2(tee.stdin.fileno(), number)
            tee.stdin.close()

    def stop(self) -> None:
        """Give the descriptors back and wait until all that was printed is in the file. May be called twice."""
        _flush()
        for number, saved in self._saved.items():
            os.dup2(saved, number)
            os.close(saved)
        self._saved = {}
        for tee in self._tees:
            try:
                tee.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                tee.terminate()
                tee.wait()
        self._tees = []


@dataclass(frozen=True)
class Shown:
    """What of a run's output is shown in its document."""

    text: str
    size: int
    omitted: int


def shown(path: Path) -> Shown:
    """Return the first 32 KiB and the last 96 KiB of an output file, with the size of what lies between."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size <= HEAD_BYTES + TAIL_BYTES:
            return Shown(file.read(size).decode("utf-8", "replace"), size, 0)
        head = file.read(HEAD_BYTES).decode("utf-8", "replace")
        file.seek(size - TAIL_BYTES)
        tail = file.read(TAIL_BYTES).decode("utf-8", "replace")
    omitted = size - HEAD_BYTES - TAIL_BYTES
    notice = f"\n… {omitted} bytes left out here; the artifact captured_out.txt has all {size} …\n"
    return Shown(head + notice + tail, size, omitted)


def _tee(target: Path, number: int) -> subprocess.Popen[bytes]:
    # A session of its own keeps Ctrl-C away from it; SIGXFSZ stays ignored, so a file limit cannot kill it.
    return subprocess.Popen(
        ["tee", "-a", str(target)],  # noqa: S607
        stdin=subprocess.PIPE,
        stdout=number,
        start_new_session=True,
        restore_signals=False,
        bufsize=0,
    )


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, ValueError, OSError):
            continue
