"""Everything a run prints, from Python, C or child processes, goes into a file and to the terminal.

A process of its own does the copying (copier.py), straight into the journal: the training process keeps no text in
memory, its death loses none, bytes that are no UTF-8 do no harm, and a slow terminal keeps nothing from the file.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from sacristy.tracking import copier

HEAD_BYTES = 32 * 1024
TAIL_BYTES = 96 * 1024
FILE_WAIT_S = 30.0  # for the disk; the copier itself waits 1 s for children that keep the output open
TERMINAL_WAIT_S = 1.0  # for the terminal, to which the copier otherwise goes on writing by itself


class Capture:
    """Copies file descriptors 1 and 2 into a file from construction until `stop`."""

    def __init__(self, target: Path) -> None:
        _flush()
        pipes, words, count = [os.pipe(), os.pipe()], os.pipe(), os.pipe()
        inherited = [words[0], count[1], pipes[0][0], pipes[1][0]]
        self._copier: subprocess.Popen[bytes] | None = _start(target, inherited)
        self._words, self._count = words[1], count[0]
        self._saved = {number: os.dup(number) for number in (1, 2)}
        for number, (_, writing) in zip((1, 2), pipes, strict=True):
            os.dup2(writing, number)
            os.close(writing)
        for number in inherited:
            os.close(number)

    @property
    def terminal(self) -> int | None:
        """The terminal that errors go to, past the file, as a descriptor until `stop`; None without one."""
        saved = self._saved[2]
        return saved if self._copier and os.isatty(saved) else None

    def stop(self) -> str:
        """Give the descriptors back and wait until all that was printed is in the file.

        Returns what of it is not there, in a few words, or an empty string. May be called twice.
        """
        if self._copier is None:
            return ""
        _flush()
        for number, saved in self._saved.items():
            os.dup2(saved, number)
            os.close(saved)
        missing = self._missing()
        try:
            self._copier.wait(TERMINAL_WAIT_S)
        except subprocess.TimeoutExpired:
            self._copier.returncode = 0  # it ends by itself, and nobody need warn that it still runs
        self._copier = None
        return missing

    def _missing(self) -> str:
        """Tell the copier that the run has ended, and return what it could not bring into the file."""
        with contextlib.suppress(BrokenPipeError):  # it has ended, and has left its count
            os.write(self._words, b".")
        answered = select.select([self._count], [], [], FILE_WAIT_S)[0]
        count = os.read(self._count, 32) if answered else b""
        os.close(self._words)
        os.close(self._count)
        if not count:
            return "what was printed last"
        return f"{int(count)} bytes of what was printed" if int(count) else ""


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


def _start(target: Path, inherited: list[int]) -> subprocess.Popen[bytes]:
    # A session of its own keeps Ctrl-C away from it; no site-packages, so that it starts at once.
    return subprocess.Popen(
        [sys.executable, "-I", "-S", copier.__file__, str(target), *map(str, inherited)],
        stdin=subprocess.DEVNULL,
        pass_fds=inherited,
        start_new_session=True,
    )


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, ValueError, OSError):
            continue
