# Sacred says that it is typed, and is not:
# mypy: disable-error-code="no-untyped-call"
"""A search as a Sacred run of the model's experiment: it notes its trials, draws its curve, tags the best runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from pymongo.errors import PyMongoError

import sacristy
from sacristy.environments import environment_folder
from sacristy.errors import DatabaseUnreachable, SearchFailed, SearchRunning
from sacristy.project import load_model
from sacristy.search.driving import Driver
from sacristy.search.history import mark_stopped, read_trials, settle, tag_best, unmark_completed
from sacristy.search.plan import Plan, for_driver
from sacristy.search.trials import Trial, Trials
from sacristy.settings import Settings
from sacristy.tracking import note
from sacristy.tracking.database import Documents

COMMAND = "search"
ENDING_S = 70.0  # for trainings that were told to stop
NUMBER_S = 60.0
POLL_S = 0.1
HOPELESS = 3
Watch = Callable[[Trials, Trial], None]


@dataclass(frozen=True)
class Outcome:
    """A search that has ended. `run`: its own; `best`: the runs that were tagged."""

    run: int
    best: list[int]
    trials: Trials


@dataclass
class Search:
    """A search to be run. `root`: the search that goes on, whose `trials` are known; None for a new one."""

    settings: Settings
    database: Documents
    plan: Plan
    parallel: int
    address: str
    trials: Trials
    root: int | None = None
    resumed: int | None = None
    _run: Any = None
    _noted: int = -1

    def __post_init__(self) -> None:
        """Remember what failed before: whoever goes on may have mended the cause."""
        self._failed_before = self.trials.count("FAILED")

    def run(self, watch: Watch) -> Outcome:
        """Run it to its end, as a Sacred run. Raises SearchFailed; interrupted, its trials end well first."""
        experiment: Any = sacristy.experiment(self.plan.model)
        experiment.add_config(self.plan.summary() | {"parallel": self.parallel})
        outcomes: list[Outcome] = []

        def search(_run: Any) -> dict[str, Any]:
            outcomes.append(self._search(_run, watch))
            return self._result()

        experiment.command(search)
        experiment.run(COMMAND, options={"--capture": "no"})
        return outcomes[0]

    def _search(self, run: Any, watch: Watch) -> Outcome:
        self._run = run
        number = number_of(run)
        if number is None:
            reason = f"it gave the search no number within {NUMBER_S:.0f} s"
            raise DatabaseUnreachable(address="the address given", reason=reason)
        self.root = self.root or number
        if self.resumed:
            note(run, "parent", self.resumed)
        self._note()
        with ExitStack() as ending:
            ending.callback(self._settle)
            driver = ending.enter_context(Driver(self.settings, local=not self.address))
            self._follow(driver, watch)
        best = self.trials.best(self.plan.best)
        if not best:
            reason = next((t.reason for t in reversed(self.trials.over()) if t.reason), "all were stopped early")
            raise SearchFailed(run=number, model=self.plan.model, reason=f"no trial was trained to its end: {reason}")
        runs = [trial.run for trial in best if trial.run is not None]
        tag_best(self.database, self.root, runs)
        return Outcome(number, runs, self.trials)

    def _follow(self, driver: Driver, watch: Watch) -> None:
        """Take the driver's events to their end."""
        model = load_model(self.settings.project, self.plan.model)
        plan = for_driver(
            self.plan,
            self.trials,
            search=self.root or 0,
            parallel=self.parallel,
            address=self.address,
            environment=environment_folder(self.settings, model.lock).name,
            ranks=model.file.ranks,
            folder=driver.folder,
        )
        driver.begin(plan)
        reason = "its driver died"
        for event in driver.events():
            if event["event"] == "over":
                return
            if event["event"] == "failed":
                reason = event["reason"]
                break
            trial = self.trials.apply(event)
            self._record(event, trial)
            watch(self.trials, trial)
            if self._hopeless():
                reason = f"the first {HOPELESS} trials failed: {trial.reason}"
                break
        raise SearchFailed(run=self._run._id, model=self.plan.model, reason=reason, cause=driver.last_lines())

    def _hopeless(self) -> bool:
        """Say whether nothing but failures came of the first trials: the others would do no better."""
        failed = self.trials.count("FAILED")
        return failed - self._failed_before >= HOPELESS and failed == len(self.trials.over())

    def _record(self, event: dict[str, Any], trial: Trial) -> None:
        """Write down what an event changed."""
        if event["event"] != "ended":
            return
        if trial.status == "STOPPED" and trial.run is not None:
            with suppress(PyMongoError):  # it is repeated, should the search have to go on
                mark_stopped(self.database, trial.run, self.root or 0)
        over = len(self.trials.over())
        best = self.trials.best(1)
        if best and best[0].value is not None:
            self._run.log_scalar("search.best", best[0].value, over)
        # Each note is as long as all trials: noted at every twentieth more, they are together no longer than a few.
        if over >= self._noted + max(1, self._noted // 20):
            self._note()

    def _note(self) -> None:
        self._noted = len(self.trials.over())
        best = [trial.run for trial in self.trials.best(self.plan.best)]
        found = {"root": self.root, "plan": self.plan.plain(), "trials": self.trials.plain(), "best": best}
        note(self._run, "search", found)

    def _settle(self) -> None:
        """Wait until the trainings that were told to stop have ended, and note how all of it stands."""
        self.trials.interrupt()
        self._note()
        with suppress(PyMongoError, SearchRunning):  # what cannot be seen now is reaped later
            settle(self.database, self.root or 0, ENDING_S, but=self._run._id)
            self._take_completed()

    def _take_completed(self) -> None:
        """Count trials that came to their end before they could be stopped as what they are."""
        quicker = unmark_completed(self.database, self.root or 0)
        if not quicker:
            return
        found = read_trials(self.database, self.root or 0, self.plan.metric, self.plan.mode)
        self.trials.by_number |= {number: trial for number, trial in found.by_number.items() if trial.run in quicker}
        self._note()

    def _result(self) -> dict[str, Any]:
        best = self.trials.best(1)
        counts = {name.lower(): self.trials.count(name) for name in ("COMPLETED", "STOPPED", "FAILED")}
        last = {"best": best[0].value, "best_run": best[0].run} if best else {}
        return last | {"trials": len(self.trials.by_number)} | counts


def number_of(run: Any, within_s: float = NUMBER_S) -> int | None:
    """Return a run's number, which the trials need; an ordinary run does not wait for it as long."""
    deadline = time.monotonic() + within_s
    while run._id is None and time.monotonic() < deadline:
        run._id = run.observer.shipment.number()
        time.sleep(POLL_S)
    return None if run._id is None else int(run._id)
