"""`sacristy doctor`: look for faults, and name for each what mends it."""

from __future__ import annotations

from collections.abc import Sequence

from sacristy.settings import Settings
from sacristy.stack.findings import CHECKS, ERROR, WARNING, Check, Finding

__all__ = ["ERROR", "WARNING", "Check", "Finding", "doctor"]


def doctor(settings: Settings, more: Sequence[Check] = ()) -> list[Finding]:
    """Return every fault, errors first. `more`: checks of rooms that this one does not know.

    Without a home folder there is one finding only. A stack that is down gives one finding for all its services.
    """
    if not settings.home.is_dir():
        return [Finding(ERROR, f"this project has no home folder: {settings.home}", "sacristy init")]
    findings = [finding for check in (*CHECKS, *more) for finding in check(settings)]
    return sorted(findings, key=lambda finding: finding.level != ERROR)
