"""Processes by number and start, as a number alone is given again."""

from __future__ import annotations

import psutil


def after_boot_s(process: psutil.Process) -> float:
    """Return when a process began, counted from the start of the machine: that stays when its clock is set.

    Raises psutil.NoSuchProcess.
    """
    return float(process.create_time() - psutil.boot_time())
