"""Waits that end when the process is told to: what they wait for is given up, undone as after a failure, and left."""

from __future__ import annotations

import threading

_told = threading.Event()


class Ending(Exception):
    """The process was told to end. No failure: nothing is to be said of what was waited for."""


def pause(seconds: float) -> None:
    """Sleep between two looks. Raises Ending as soon as the process is told to end."""
    if _told.wait(seconds):
        raise Ending


def tell() -> None:
    """End all waits of this process, and each that is yet to come."""
    _told.set()


def told() -> bool:
    """Say whether the process was told to end."""
    return _told.is_set()
