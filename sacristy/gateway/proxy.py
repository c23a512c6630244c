"""From a request for a model's stage to the answer of an instance that is there now."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sacristy.errors import InstanceTooSlow, InstanceUnreachable, ModelNotServed, NothingDeployed
from sacristy.gateway.breaker import Breakers
from sacristy.gateway.holding import WaitingRoom
from sacristy.gateway.pulse import Pulse
from sacristy.gateway.shares import is_within
from sacristy.gateway.table import RouteTable
from sacristy.gateway.upstream import READ_TIMEOUT_S, Answer, NotAnswered, TooSlow, ask
from sacristy.names import Stage, parse_model
from sacristy.project import model_names
from sacristy.settings import Settings
from sacristy.targets.routes import RETRY_AFTER_S, Route, Share

PAUSES_S = (0.0, 0.05, 0.2)  # before the second, third and fourth try
SERVER_ERROR = 500
LOOK_EVERY_S = 0.02  # at the routes; sooner where an instance did not answer


class Resting(NotAnswered):
    """It was not asked, because it failed too often."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request for a model. With a body it is a POST. Requests with the same `key` stay with the same version.

    `wakes`: it is held for a stage that sleeps, which it wakes. `version`: names the only one that may answer.
    """

    model: str
    stage: Stage
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    wakes: bool = True
    version: str = ""

    @property
    def bare(self) -> Question:
        """The question without what was sent, for those who only count it."""
        return replace(self, body=None, headers={})


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, where it came from, and how long it took. `routed`: the stage's route, with what is beside it.

    `held`: the stage slept, and was woken first; that is no part of the time.
    """

    answer: Answer
    route: Route
    routed: Route
    took_s: float
    by_canary: bool = False
    canary_failed: bool = False
    held: bool = False


class Proxy:
    """Asks the instance that the routes name, and looks at the routes anew before it asks again."""

    def __init__(self, settings: Settings, pulse: Pulse | None = None, room: WaitingRoom | None = None) -> None:
        """Needs no service: the routes are a file. `pulse`: without it nothing that sleeps is woken."""
        self._settings, self._pulse = settings, pulse
        self.room = room or WaitingRoom(settings.held_requests, settings.held_s)
        self.table = RouteTable(settings.routes_file, every_s=LOOK_EVERY_S)
        self.breakers = Breakers()

    def ask(self, question: Question) -> Answered:
        """Return the answer to a question: of the canary, if it falls to that one, else of the stage's own version.

        Asked again only where no byte of an answer came. That is safe here: a prediction changes nothing, so it
        does no harm if an instance that was just closing had begun on it. So switching instances fails no request.
        What a canary fails at, the stage's own version answers: nobody is worse off for it.

        A stage that sleeps is woken, and the question held until then.

        Raises InvalidName, ModelNotServed, NothingDeployed, InstanceUnreachable, InstanceTooSlow, StillAsleep or
        NoRoomToWait.
        """
        route = self.route(question.model, question.stage)
        if route.idle_s and self._pulse and question.wakes:
            self._pulse.note(question.model, question.stage)
        canary = route.canary
        if canary is None or not _falls_to(canary, question):
            return self._ask_own(question, route)
        start = time.perf_counter()
        try:
            answer = self._once(question, canary.route)
            if answer.status < SERVER_ERROR:
                return Answered(answer, canary.route, route, time.perf_counter() - start, by_canary=True)
        except (NotAnswered, TooSlow):
            pass
        return self._ask_own(question, route, canary_failed=True)

    def copy(self, question: Question, route: Route) -> Answer:
        """Ask one instance once, whatever the routes say. Raises NotAnswered or TooSlow."""
        return self._once(question, route)

    def route(self, model: str, stage: Stage, anew: bool = False) -> Route:
        """Return where a model's stage is now. Raises InvalidName, ModelNotServed or NothingDeployed."""
        routes = self.table.routes(anew)
        found = routes.get(model, {}).get(stage)
        if found:
            return found
        if not anew:
            return self.route(model, stage, anew=True)
        known = sorted({*routes, *model_names(self._settings.project)})
        if parse_model(model) not in known:
            raise ModelNotServed(model=model, known=", ".join(known) or "none yet")
        raise NothingDeployed(model=model, stage=stage, retry_after_s=RETRY_AFTER_S)

    def _ask_own(self, question: Question, route: Route, canary_failed: bool = False) -> Answered:
        """Ask the stage's own version; wake it first if it sleeps."""
        try:
            return self._ask_awake(question, route, canary_failed)
        except InstanceUnreachable:
            if not (route.idle_s and self._pulse and question.wakes):
                raise
        until = time.monotonic() + self.room.patience_s
        while True:
            try:
                route = self._wake(question.model, question.stage, self._pulse)
                return replace(self._ask_awake(question, route, canary_failed), held=True)
            except InstanceUnreachable:  # it went again
                if time.monotonic() > until:
                    raise

    def _wake(self, model: str, stage: Stage, pulse: Pulse) -> Route:
        """Return where a stage that sleeps is, once it is awake. Raises NoRoomToWait or StillAsleep."""
        self.room.wait(
            model, stage, lambda: self.route(model, stage).url, lambda: pulse.note(model, stage, urgent=True)
        )
        route = self.route(model, stage, anew=True)
        self.breakers.answered(route.url)
        return route

    def _ask_awake(self, question: Question, route: Route, canary_failed: bool) -> Answered:
        model, stage = question.model, question.stage
        reason = ""
        start = time.perf_counter()
        for pause_s in (*PAUSES_S, None):
            try:
                answer = self._once(question, route)
                took_s = time.perf_counter() - start
                return Answered(answer, route, route, took_s, canary_failed=canary_failed)
            except NotAnswered as error:
                reason = str(error)
                rests = isinstance(error, Resting)
            except TooSlow:
                raise InstanceTooSlow(model=model, stage=stage, timeout_s=int(READ_TIMEOUT_S)) from None
            if pause_s is not None:
                time.sleep(0 if rests else pause_s)
                tried, route = route, self.route(model, stage, anew=True)
                if rests and tried.url == route.url:
                    break
        raise InstanceUnreachable(model=model, stage=stage, reason=reason, retry_after_s=RETRY_AFTER_S)

    def _once(self, question: Question, route: Route) -> Answer:
        if not self.breakers.allows(route.url):
            raise Resting("it failed too often and is left alone for a second")
        method = "GET" if question.body is None else "POST"
        try:
            answer = ask(method, route.url + question.path, question.body, question.headers)
        except (NotAnswered, TooSlow):
            self.breakers.failed(route.url)
            raise
        self.breakers.answered(route.url)
        return answer


def _falls_to(canary: Share, question: Question) -> bool:
    """Say whether a question is the canary's: by its share of what is predicted, unless it names a version itself.

    What a model is asked about itself, such as its schema, the stage's own version answers: chance would confuse.
    """
    if question.version:
        return question.version == canary.route.version
    return question.body is not None and is_within(canary, question.key)
