"""Which digest each stage points at: the registry is asked for all of them in turn, for those that moved at once."""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo.database import Database

from sacristy.errors import RegistryAway, RegistryBusy, RegistryRefused, SacristyError
from sacristy.images.registry import Registry
from sacristy.operator.decide import Key
from sacristy.release.moves import COLLECTION

log = logging.getLogger("operator")

SWEEP_S = 30.0  # in which every model is asked for once, for stages that moved without a record too
OVERLAP_S = 60  # clocks of those who promote may differ by this
LONGEST_WAIT_S = 60.0
AWAY = (RegistryAway, RegistryRefused, RegistryBusy)


class Watch:
    """What the stages point at, as far as it is known. A question costs no body: the digest is in the header."""

    def __init__(
        self,
        registry: Registry,
        database: Database[dict[str, Any]],
        sweep_s: float = SWEEP_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.registry, self.database, self.sweep_s, self._clock = registry, database, sweep_s, clock
        self.wishes: dict[Key, str] = {}
        self.away = ""
        self._next, self._last = 0, clock() - sweep_s
        self._failures, self._not_before = 0, 0.0
        self._seen: set[tuple[ObjectId, str]] = set()

    def look(self, models: Sequence[str], *, whole: bool = False) -> None:
        """Ask for the models whose stages moved, and for as many others as the time since the last look asks for.

        A registry that is away is left alone for a while, ever longer; what is known stays known.
        """
        now = self._clock()
        if now < self._not_before and not whole:
            return
        asked = [*self.moved(models), *(models if whole else self._slice(models, now))]
        try:
            for model in dict.fromkeys(asked):
                self._ask(model)
        except AWAY as error:
            self._failures += 1
            wait = min(2.0**self._failures, LONGEST_WAIT_S) * random.uniform(0.8, 1.2)  # noqa: S311
            self.away, self._not_before = str(error), now + wait
            log.warning("%s; asked again in %.0f s", error, wait)
            self._seen.clear()  # what moved meanwhile is asked for again
            return
        self.away, self._failures = "", 0

    def moved(self, models: Sequence[str]) -> list[str]:
        """Return the models with a move that was begun or ended since the last look: one small question."""
        since = ObjectId.from_datetime(datetime.now(UTC) - timedelta(seconds=OVERLAP_S))
        found = list(self.database[COLLECTION].find({"_id": {"$gte": since}}, {"model": 1, "state": 1}))
        states = {(move["_id"], move["state"]): move["model"] for move in found}
        fresh = {model for state, model in states.items() if state not in self._seen or state[1] == "moving"}
        self._seen = set(states)
        return [model for model in models if model in fresh]

    def _slice(self, models: Sequence[str], now: float) -> list[str]:
        if not models:
            return []
        share = min(1.0, (now - self._last) / self.sweep_s)
        count = min(len(models), math.ceil(len(models) * share))
        self._last = now
        chosen = [models[(self._next + step) % len(models)] for step in range(count)]
        self._next = (self._next + count) % len(models)
        return chosen

    def _ask(self, model: str) -> None:
        try:
            found = self.registry.stages(model)
        except AWAY:
            raise
        except SacristyError as error:  # one model's index that cannot be read is no reason to leave all others alone
            log.warning("%s: %s", model, error)
            return
        for key in [key for key in self.wishes if key[0] == model and key[1] not in found]:
            del self.wishes[key]
        self.wishes |= {(model, stage): digest for stage, digest in found.items()}
