"""Stages that nobody asks are put to sleep, and woken by the first question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo.database import Database

from sacristy.operator import calls
from sacristy.operator.calls import Call, State
from sacristy.operator.decide import Do, Key, Task
from sacristy.operator.deployment import Yard
from sacristy.release.lock import release_lock
from sacristy.targets.routes import Route, read_routes

NAPS = frozenset({Do.SLEEP, Do.WAKE})
LEARNT_S = 120.0  # within which gateways on a cluster know of a new table of routes


class Naps:
    """Which stages are due. `least_s`: none sleeps sooner than that; gateways must know by then that it may."""

    def __init__(self, database: Database[dict[str, Any]], least_s: float = 0.0) -> None:
        self._database, self._least_s = database, least_s
        self._calls: dict[Key, Call] = {}

    def look(self, routes: Mapping[str, Mapping[str, Route]]) -> None:
        """Read who was asked: one question for all of them, and none where no stage may sleep."""
        may = any(route.idle_s for stages in routes.values() for route in stages.values())
        self._calls = calls.read(self._database) if may else {}

    def due(self, routes: Mapping[str, Mapping[str, Route]]) -> list[Task]:
        """Return what is due, for all stages."""
        known = ((key, routes.get(key[0], {}).get(key[1]), call) for key, call in self._calls.items())
        found = (due(key, route, call, self._least_s) for key, route, call in known if route)
        return [task for task in found if task]

    def perform(self, yard: Yard, task: Task) -> None:
        """Put a stage to sleep or wake it, unless that is no longer due. Raises ReleaseLocked, or what targets raise.

        A stage that is asked while it is put to sleep is woken by the next turn; so is one whose operator was killed.
        """
        model, stage = task.key
        with release_lock(yard.database, f"{model}:{stage}", str(task.do), yard.user):
            route = read_routes(yard.settings.routes_file).get(model, {}).get(stage)
            if route is None or route.digest != task.digest:
                return
            if task.do is Do.WAKE:
                yard.target.rest(route.instance, asleep=False)
                calls.awake(yard.database, task.key)
            elif not route.shares and calls.fall(yard.database, task.key, max(route.idle_s, self._least_s)):
                yard.target.rest(route.instance, asleep=True)
                calls.fell(yard.database, task.key)


def due(key: Key, route: Route, call: Call, least_s: float) -> Task | None:
    """Return what is to be done for a stage: nothing where it may not sleep, or where a canary or mirror needs it."""
    model, stage = key
    if not route.idle_s:
        return None
    if call.state != State.AWAKE and call.wanted:
        return Task(Do.WAKE, model, stage, route.digest, "it is asked")
    if call.state in (State.AWAKE, State.FALLING) and not route.shares and call.quiet_s > max(route.idle_s, least_s):
        return Task(Do.SLEEP, model, stage, route.digest, f"nobody has asked it for {call.quiet_s:.0f} s")
    return None
