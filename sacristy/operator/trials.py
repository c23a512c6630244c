"""Canaries that model.toml gives a window: promoted or withdrawn by what was measured of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from sacristy.errors import SacristyError
from sacristy.names import Stage
from sacristy.operator.canary import promote, withdraw
from sacristy.operator.decide import Do, Key, Task
from sacristy.operator.deployment import Yard
from sacristy.operator.judging import Figures, Verdict, judge
from sacristy.project import load_model
from sacristy.targets.routes import Route, Share, read_routes

log = logging.getLogger("operator")

TRIALS = frozenset({Do.PROMOTE, Do.WITHDRAW})
Routes = Mapping[str, Mapping[str, Route]]
Measure = Callable[[Key, Route, Share, float], Figures]  # the latter in ms: above it a request is slow
Now = Callable[[], datetime]


def utc_now() -> datetime:
    """Return what a share's age is counted from."""
    return datetime.now(UTC)


class Trials:
    """Which canaries are due. A mirror harms nobody, and is left to people."""

    def __init__(self, yards: Mapping[str, Yard], measure: Measure, now: Now = utc_now) -> None:
        self._yards, self._measure, self._now = yards, measure, now

    def due(self, routes: Routes, wishes: Mapping[Key, str]) -> list[Task]:
        """Return what is due: one question to the database for each canary whose model has a window.

        One that its stage points at already (`wishes`) is promoted, and only to be deployed.
        """
        canaries = [
            ((model, Stage(stage)), route, route.canary)
            for model, stages in routes.items()
            for stage, route in stages.items()
            if route.canary and route.canary.since and route.canary.route.target in self._yards
        ]
        found = [self._due(*each) for each in canaries if wishes.get(each[0]) != each[2].route.digest]
        return [task for task in found if task]

    def perform(self, task: Task) -> bool:
        """Promote or withdraw a canary, unless it is gone by now; say whether that was done.

        Raises ReleaseLocked, or what promoting, deploying and targets raise.
        """
        model, stage = task.key
        yard = next(iter(self._yards.values()))
        route = read_routes(yard.settings.routes_file).get(model, {}).get(stage)
        if route is None or route.canary is None:
            return False
        if (route.canary.route.digest, route.canary.since) != (task.digest, task.since):  # another, or begun anew
            return False
        yard = self._yards[route.canary.route.target]
        if task.do is Do.PROMOTE:
            promote(yard, model, stage, route.canary.route, task.why)
            return True
        return bool(withdraw(yard, model, stage, task.digest, task.why))

    def _due(self, key: Key, route: Route, canary: Share) -> Task | None:
        model, stage = key
        try:
            project = self._yards[canary.route.target].settings.project
            limits = load_model(project, model).file.canary
        except SacristyError as error:  # a model.toml that cannot be read decides nothing
            log.warning("the canary of %s:%s is not judged: %s", model, stage, error)
            return None
        if not limits.window_s:
            return None
        age_s = (self._now() - datetime.fromisoformat(canary.since)).total_seconds()
        verdict, why = judge(limits, self._measure(key, route, canary, limits.latency_p95_ms), age_s)
        if verdict is Verdict.WAIT:
            return None
        do = Do.PROMOTE if verdict is Verdict.PROMOTE else Do.WITHDRAW
        return Task(do, model, stage, canary.route.digest, why, canary.since)
