"""The folder in which a server's workers add up their metrics; what servers that were killed left of theirs goes.

A server holds a lock in its folder for as long as it or one of its workers lives, so that nobody takes it for a
leftover, not even from a container that shares the memory but not the processes' numbers.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "sacristy-metrics-"
LOCK = "lock"


def new_folder(parent: Path) -> Path:
    """Make a folder that is this process's and its children's for as long as they live."""
    made = Path(tempfile.mkdtemp(prefix=f".{PREFIX}", dir=parent))
    lock = os.open(made / LOCK, os.O_CREAT | os.O_RDWR, 0o600)  # never closed: the end of the processes does
    fcntl.flock(lock, fcntl.LOCK_EX)
    named = made.with_name(made.name.removeprefix("."))  # only now may others look at it
    made.rename(named)
    return named


def clear_leftovers(parent: Path) -> int:
    """Remove the folders whose servers are gone, and return how many; those of other users are left alone."""
    return sum(_clear(lock.parent) for lock in parent.glob(f"{PREFIX}*/{LOCK}"))


def _clear(folder: Path) -> bool:
    try:
        lock = os.open(folder / LOCK, os.O_RDWR)
    except OSError:  # another user's, or removed meanwhile
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True
