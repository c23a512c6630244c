"""Fault points: where a promotion, a rollback or a deployment can be made to die, so that tests kill it at each step.

With SACRISTY_FAULT=<step> in the environment, the process ends at that step as if it had been killed: no handler
runs, no lock is given back. The steps stand here and nowhere else, in the order in which they are reached.
"""

from __future__ import annotations

import os

VARIABLE = "SACRISTY_FAULT"
EXIT_CODE = 137  # what a shell shows for a process that was killed

STEPS: dict[str, tuple[str, ...]] = {
    "promote": ("locked", "settled", "judged", "signed", "recorded", "moved", "noted", "finished"),
    "rollback": ("locked", "settled", "judged", "signed", "recorded", "moved", "noted", "finished"),
    "deploy": (
        "locked",
        "settled",
        "cleared",
        "verified",
        "started",
        "ready",
        "asked",
        "placed",
        "switched",
        "drained",
        "recorded",
    ),
}


def points(action: str) -> list[str]:
    """Return the fault points of an action, such as `promote.moved`."""
    return [f"{action}.{step}" for step in STEPS[action]]


def reach(action: str, step: str) -> None:
    """Note that an action has come to a step; die there if the environment asks for it."""
    if step not in STEPS[action]:
        raise ValueError(f"{action}.{step} is no fault point: enter it in {__name__}.STEPS")
    if os.environ.get(VARIABLE) == f"{action}.{step}":
        os._exit(EXIT_CODE)
