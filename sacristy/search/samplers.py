"""Which values the next trial gets, and which trials are stopped early: Ray's and Optuna's work, begun from the runs.

What a search learned before is handed in as plain data, so that it goes on where it was without any state of Ray's.
"""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
from typing import Any

import optuna
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from sacristy.search.space import Space, draw, is_whole, within

SCORE, COUNT = "score", "points"  # what a trial reports: trial.py
ENDLESS = 1_000_000


class Numbered(Searcher):
    """Gives out trials by number: first those that were interrupted, as they were, then new ones."""

    def __init__(self, plan: dict[str, Any]) -> None:
        super().__init__(metric=SCORE, mode=plan["mode"])
        self.plan = plan
        self.pending = deque(plan["pending"])
        self.new = deque(plan["new"])
        self.learner = learner(plan) if plan["sampler"] == "optuna" else None
        self.asked: dict[str, dict[str, Any]] = {}  # by Ray's id: what Optuna did not think of itself

    def suggest(self, trial_id: str) -> Any:
        """Return the configuration of a trial, or FINISHED."""
        if self.pending:
            again = self.pending.popleft()
            self.asked[trial_id] = again["values"]
            return self._config(again["number"], again["values"])
        if not self.new:
            return Searcher.FINISHED
        number = self.new.popleft()
        if self.learner:
            drawn = self.learner.suggest(trial_id)
            values = {name: within(self.plan["space"][name], value) for name, value in drawn.items()}
        else:
            values = draw(self.plan["space"], self.plan["seed"], number)
        return self._config(number, values)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Let the sampler learn from a trial."""
        if self.learner is None:
            return
        if trial_id not in self.asked:
            self.learner.on_trial_complete(trial_id, result, error)
        elif result and not error:
            self.learner.add_evaluated_point(self.asked[trial_id], result[SCORE])

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: what a search knows is in its runs."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing, as nothing is saved."""

    def _config(self, number: int, values: dict[str, Any]) -> dict[str, Any]:
        return dict(self.plan["job"]) | {"number": number, "values": values}


def learner(plan: dict[str, Any]) -> OptunaSearch:
    """Return Optuna's sampler (TPE), which has learned from the trials that are past."""
    known = [trial for trial in plan["past"] if trial["points"]]
    # With the seed alone a search that goes on would begin with the same random values again.
    seed = plan["seed"] + plan["next"] - 1
    sampler = OptunaSearch(distributions(plan["space"]), metric=SCORE, mode=plan["mode"], seed=seed)
    for trial in known:
        sampler.add_evaluated_point(trial["values"], trial["points"][-1])
    return sampler


def distributions(space: Space) -> dict[str, Any]:
    """Return a space as Optuna has it."""
    return {name: _distribution(knob) for name, knob in space.items()}


def _distribution(knob: Any) -> Any:
    if "choice" in knob:
        return optuna.distributions.CategoricalDistribution(knob["choice"])
    kind = optuna.distributions.IntDistribution if is_whole(knob) else optuna.distributions.FloatDistribution
    return kind(knob["low"], knob["high"], log=knob["log"])


def stopper(plan: dict[str, Any]) -> TrialScheduler:
    """Return what stops trials early: ASHA, which remembers how the past ones did at each rung; or nothing."""
    if plan["sampler"] == "random":
        return FIFOScheduler()
    options = {"grace_period": plan["grace"], "reduction_factor": plan["reduction"], "max_t": ENDLESS}
    scheduler = AsyncHyperBandScheduler(time_attr=COUNT, metric=SCORE, mode=plan["mode"], **options)
    for trial in plan["past"]:
        stand_in: Any = SimpleNamespace(trial_id=f"past-{trial['number']}")
        controller: Any = None  # it looks at neither
        scheduler.on_trial_add(controller, stand_in)
        for count, value in enumerate(trial["points"], start=1):
            scheduler.on_trial_result(controller, stand_in, {COUNT: count, SCORE: value})
    return scheduler
