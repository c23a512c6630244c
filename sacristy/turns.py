"""One process at a time: a lock that says when it waits for another process, and does not wait for ever."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from sacristy.errors import StillTaken

log = logging.getLogger(__name__)

SILENT_S = 2.0
LONGEST_S = 900.0  # longer than the slowest of what is done under such a lock: an environment over a thin line


@contextmanager
def turn(lock: Path, work: str, *, silent_s: float = SILENT_S, longest_s: float = LONGEST_S) -> Iterator[None]:
    """Hold the lock file for a work, named for people ("the environment of news").

    A process that was killed holds nothing: the kernel lets go. Raises StillTaken after `longest_s` seconds.
    """
    held = FileLock(lock)
    try:
        held.acquire(timeout=silent_s)
    except Timeout:
        log.warning("another process is at %s; waiting for it, %.0f s at most", work, longest_s)
        try:
            held.acquire(timeout=longest_s)
        except Timeout:
            raise StillTaken(work=work, lock=lock, waited_s=int(longest_s)) from None
    try:
        yield
    finally:
        held.release()


def beat(home: Path, program: str) -> None:
    """Note that a program that takes turns for ever begins one: its container is healthy while that is not long ago."""
    with suppress(OSError):  # a full disk does not end it
        (home / f"{program}.turn").touch()
