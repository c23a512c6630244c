"""What is to be done for a stage, decided from what is wished and what is there. Nothing is asked or done here."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from sacristy.names import Stage
from sacristy.targets.routes import Route

FIRST_WAIT_S, LONGEST_WAIT_S = 10.0, 600.0
Key = tuple[str, Stage]


class Do(StrEnum):
    """What the operator can do for a stage, or for the canary beside it."""

    DEPLOY = "deploy"
    REPAIR = "repair"
    SLEEP = "sleep"
    WAKE = "wake"
    PROMOTE = "promote"
    WITHDRAW = "withdraw"


@dataclass(frozen=True)
class Task:
    """Something to be done. `why` is for the log. `since`: when the canary that was judged began."""

    do: Do
    model: str
    stage: Stage
    digest: str
    why: str
    since: str = ""

    @property
    def key(self) -> Key:
        """The stage that it is for."""
        return self.model, self.stage


def decide(key: Key, digest: str, route: Route | None, fault: str) -> Task | None:
    """Return what brings a stage to its digest, or None: it is there and well.

    A fault of what a target keeps for all versions of a stage is repaired in place; else it is deployed anew.
    """
    model, stage = key
    if route is None:
        return Task(Do.DEPLOY, model, stage, digest, "nothing answers for it here")
    if route.digest != digest:
        return Task(Do.DEPLOY, model, stage, digest, f"version {route.version} answers for it")
    if fault:
        return Task(Do.REPAIR, model, stage, digest, fault)
    return None


@dataclass
class Patience:
    """How long to leave a stage alone whose digest failed: ever longer, until the stage moves.

    So a version that does not come up is tried again now and then, as its cause may have been the cluster's, and
    never in a storm. Times in seconds of one clock.
    """

    spread: Callable[[], float] = lambda: random.uniform(0.8, 1.2)  # noqa: S311 - many operators at once
    failures: dict[Key, tuple[str, int, float]] = field(default_factory=dict)

    def allows(self, task: Task, now: float) -> bool:
        """Say whether a task may be tried now."""
        digest, _, not_before = self.failures.get(task.key, ("", 0, 0.0))
        return digest != task.digest or now >= not_before

    def failed(self, key: Key, digest: str, now: float, times: int = 1) -> None:
        """Remember a failure, or several in a row of which the last was at `now`."""
        before, count, _ = self.failures.get(key, ("", 0, 0.0))
        count = (count if before == digest else 0) + times
        wait = min(FIRST_WAIT_S * 2.0 ** min(count - 1, 10), LONGEST_WAIT_S) * self.spread()
        self.failures[key] = (digest, count, now + wait)

    def busy(self, key: Key, digest: str, until: float) -> None:
        """Leave a stage alone on which somebody else is at work: that is no failure."""
        before, count, _ = self.failures.get(key, ("", 0, 0.0))
        self.failures[key] = (digest, count if before == digest else 0, until)

    @property
    def failing(self) -> int:
        """How many stages failed the last time."""
        return sum(count > 0 for _, count, _ in list(self.failures.values()))

    def succeeded(self, key: Key) -> None:
        """Forget a stage's failures."""
        self.failures.pop(key, None)
