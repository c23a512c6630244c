"""The operator: one loop that keeps what runs equal to what the stages say, on all targets.

A turn looks (watch.py), compares (decide.py) and hands what is to be done to a few threads, so that a slow rollout
holds up no other. All it knows is in the registry, MongoDB and the targets: it may be killed at any point.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from typing import Any

from pymongo import DESCENDING
from pymongo.errors import PyMongoError

from sacristy.errors import ReleaseLocked, SacristyError
from sacristy.names import Stage, parse_version
from sacristy.operator.decide import Do, Key, Patience, Task, decide
from sacristy.operator.deployment import COLLECTION, Deployment, Yard, deploy
from sacristy.operator.lease import Lease
from sacristy.operator.repair import repair
from sacristy.operator.sleeping import LEARNT_S, NAPS, Naps
from sacristy.operator.telemetry import Telemetry
from sacristy.operator.trials import TRIALS, Measure, Trials
from sacristy.operator.watch import Watch
from sacristy.targets.kubernetes.publishing import Publisher
from sacristy.targets.routes import Route, RoutesCache
from sacristy.targets.target import Image, Served
from sacristy.waiting import Ending, told

log = logging.getLogger("operator")

EVERY_S = 1.0
SURVEY_S = 10.0  # between two looks at what runs: for what was changed by hand
AT_ONCE = 4  # deployments
REMEMBERED = 1000  # outcomes, for who asks
BUSY_S = 5.0  # until a stage that somebody else is working on is looked at again
Perform = Callable[[Yard, Task], Deployment]


def perform(yard: Yard, task: Task) -> Deployment:
    """Do what was decided. Raises what deploying raises."""
    if task.do is Do.REPAIR:
        return repair(yard, task.model, task.stage, task.why)
    return deploy(yard, task.model, task.stage)


class Operator:
    """`yards`: what deployments work with, by target; `default`: the target of stages that run nowhere yet.

    `measure`: returns what is known of a canary; without it none is judged.
    """

    def __init__(
        self,
        yards: Mapping[str, Yard],
        default: str,
        models: Callable[[], Sequence[str]],
        watch: Watch,
        lease: Lease,
        *,
        clock: Callable[[], float] = time.monotonic,
        perform: Perform = perform,
        publisher: Publisher | None = None,
        measure: Measure | None = None,
    ) -> None:
        self.yards, self.default, self.models, self.watch, self.lease = yards, default, models, watch, lease
        self.telemetry = Telemetry(clock)
        self.patience, self._roused, self._tried = Patience(), Patience(), Patience()  # the latter: naps, canaries
        self._clock, self._perform, self._publisher = clock, perform, publisher
        self._naps = Naps(yards[default].database, LEARNT_S if publisher else 0.0)
        self._trials = Trials(yards, measure) if measure else None
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="deploy")
        self._quick = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="wake")  # users wait: no deployment is in the way
        self._running: dict[Key, Future[None]] = {}
        self._routes = RoutesCache(yards[default].settings.routes_file)
        self._surveyed = clock() - SURVEY_S
        self._faults: dict[str, str] = {}
        self._repaired: dict[Key, str] = {}  # what was found wrong with stages, until they are found well
        self._led = False
        self.outcomes: deque[tuple[Task, str]] = deque(maxlen=REMEMBERED)

    def run(self, every_s: float = EVERY_S, over: threading.Event | None = None) -> None:
        """Take turns until `over`; then give the lease back.

        Deployments under way are ended by their own steps; or given up and left to the next operator, where the
        process was told to end (waiting.py).
        """
        over = over or threading.Event()
        while not over.is_set():
            try:
                self.turn()
            except (SacristyError, PyMongoError) as error:
                log.warning("%s", error)
            over.wait(every_s)
        self.finish()
        self.lease.release()

    def turn(self, *, whole: bool = False) -> list[Task]:
        """Look, compare, and begin what is to be done; return that. Whoever does not hold the lease does nothing."""
        start = self._clock()
        begun: list[Task] = []
        if self._lead():
            self.watch.look(self.models(), whole=whole)
            busy = {key for key, work in self._running.items() if not work.done()}  # before the routes are read
            routes = self._routes.read()
            self._naps.look(routes)
            if whole or start - self._surveyed >= SURVEY_S:
                self._faults, self._surveyed = self._survey(routes, busy), start
            self._led = self.lease.hold()  # looking may have taken so long that another acts by now
        if self._led:
            begun = [task for task in self._due(routes, busy) if self._begin(task, routes)]
            if self._publisher:
                self._publisher.publish()
        self._tell(self._clock() - start)
        return begun

    def idle(self) -> None:
        """Wait for what was begun."""
        wait(self._running.values())

    def finish(self) -> None:
        """Wait for what was begun, and begin nothing more."""
        self.idle()
        self._pool.shutdown()
        self._quick.shutdown()

    def _lead(self) -> bool:
        """Hold the lease, and learn what failed before it was ours."""
        holds = self.lease.hold()
        if holds and not self._led:
            log.info("%s acts from now on", self.lease.holder)
            if self._publisher:
                self._publisher.begin()
            self._remember()
        self._led = holds
        return holds

    def _due(self, routes: Mapping[str, Mapping[str, Route]], busy: Set[Key]) -> list[Task]:
        now, tasks = self._clock(), []
        for key, digest in self.watch.wishes.items():
            if key in busy:
                continue
            route = routes.get(key[0], {}).get(key[1])
            task = decide(key, digest, route, self._faults.get(route.instance, "") if route else "")
            if task and self.patience.allows(task, now):
                tasks.append(task)
        taken = {*busy, *(task.key for task in tasks)}
        trials = self._trials.due(routes, self.watch.wishes) if self._trials else []
        others = [task for task in [*trials, *self._naps.due(routes)] if task.key not in taken]
        return [*tasks, *(task for task in others if self._patience(task).allows(task, now))]

    def _survey(self, routes: Mapping[str, Mapping[str, Route]], busy: Set[Key]) -> dict[str, str]:
        """Return what is wrong with the instances of all stages that nobody works on, asking each target once."""
        by_target: dict[str, list[Served]] = {}
        for model, stages in routes.items():
            for stage, route in stages.items():
                if (model, Stage(stage)) in busy:
                    continue
                image = Image(model, parse_version(route.version), route.run, route.digest)
                by_target.setdefault(route.target, []).append(Served(route.instance, image, stage))
        found: dict[str, str] = {}
        for target, served in by_target.items():
            try:
                there = self.yards[target].target.faults(served)
            except (SacristyError, KeyError) as error:  # a target that cannot be asked is no reason to deploy
                log.warning("%s: %s", target, error)
                continue
            found |= there
            self._forgive({(each.image.model, Stage(each.stage)) for each in served if each.instance not in there})
        return found

    def _begin(self, task: Task, routes: Mapping[str, Mapping[str, Route]]) -> bool:
        route = routes.get(task.model, {}).get(task.stage)
        target = route.target if route else self.default
        if target not in self.yards:
            return False
        log.info("%s %s:%s: %s", task.do, task.model, task.stage, task.why)
        pool = self._quick if task.do in NAPS else self._pool
        self._running[task.key] = pool.submit(self._work, self.yards[target], task)
        return True

    def _work(self, yard: Yard, task: Task) -> None:
        start, result = self._clock(), "failed"
        try:
            if told() or not self.lease.held:
                raise Ending
            result = self._do(yard, task)
            self._worked(task)
        except Ending:
            result = "left"
            log.info("%s:%s is left to whoever acts next", task.model, task.stage)
        except ReleaseLocked as error:  # somebody does it by hand right now
            result = "busy"
            self._patience(task).busy(task.key, task.digest, self._clock() + BUSY_S)
            log.info("%s", error)
        except Exception as error:  # whatever it is: not told and waited out, it would come again every turn
            self._patience(task).failed(task.key, task.digest, self._clock())
            own = not isinstance(error, SacristyError | PyMongoError)
            log.warning("%s:%s: %s\n%s", task.model, task.stage, error, getattr(error, "detail", ""), exc_info=own)
        finally:
            self._faults = {name: why for name, why in self._faults.items() if why != task.why}
            self.telemetry.done.labels(str(task.do), result).inc()
            self.telemetry.seconds.observe(self._clock() - start)
            self.outcomes.append((task, result))

    def _do(self, yard: Yard, task: Task) -> str:
        """Do what was decided, and return how it ended."""
        if task.do in NAPS:
            self._naps.perform(yard, task)
            return "done"
        if task.do in TRIALS:
            return "done" if self._trials and self._trials.perform(task) else "unchanged"
        made = self._perform(yard, task)
        if self.watch.wishes.get(task.key) == task.digest:  # else it was seen to move on meanwhile
            self.watch.wishes[task.key] = made.image.digest
        log.info("%s:%s is %s", task.model, task.stage, made.image)
        return "done" if made.changed else "unchanged"

    def _worked(self, task: Task) -> None:
        """Forget a stage's failures; but a repair of what was repaired, and not found well since, had no effect."""
        if task.do is Do.REPAIR and self._repaired.get(task.key) == task.why:
            log.warning("%s:%s: the repair has no effect: %s", task.model, task.stage, task.why)
            self.patience.failed(task.key, task.digest, self._clock())
            return
        self._patience(task).succeeded(task.key)
        if task.do is Do.REPAIR:
            self._repaired[task.key] = task.why

    def _forgive(self, well: Set[Key]) -> None:
        """Repair stages that are well at once when something is found wrong with them again."""
        for key in well & self._repaired.keys():
            del self._repaired[key]
            self.patience.succeeded(key)

    def _patience(self, task: Task) -> Patience:
        """A version that does not come up is no reason to let the one before it sleep, nor a canary for a repair."""
        if task.do in TRIALS:
            return self._tried
        return self._roused if task.do in NAPS else self.patience

    def _remember(self) -> None:
        """Learn from the records which stages failed lately, so that another operator's patience is ours too."""
        database = self.yards[self.default].database
        newest = {"$push": {"digest": "$digest", "state": "$state", "at": "$at"}}
        grouped = {"_id": {"model": "$model", "stage": "$stage"}, "records": newest}
        steps: list[dict[str, Any]] = [
            {"$sort": {"at": DESCENDING}},
            {"$group": grouped},
            {"$set": {"records": {"$slice": ["$records", 8]}}},
        ]
        for found in database[COLLECTION].aggregate(steps):
            digest, times = found["records"][0]["digest"], 0
            for each in found["records"]:
                if (each["digest"], each["state"]) != (digest, "failed"):
                    break
                times += 1
            if times:
                age_s = (datetime.now(UTC) - found["records"][0]["at"]).total_seconds()
                key = (found["_id"]["model"], Stage(found["_id"]["stage"]))
                self.patience.failed(key, digest, self._clock() - max(0.0, age_s), times)

    def _tell(self, took_s: float) -> None:
        self.telemetry.leads.set(self._led)
        self.telemetry.stages.set(len(self.watch.wishes))
        self.telemetry.failing.set(self.patience.failing + self._roused.failing + self._tried.failing)
        self.telemetry.away.set(bool(self.watch.away))
        self.telemetry.turned(took_s)
