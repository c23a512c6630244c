"""One prediction through the gateway: asked, named, logged, copied to whom it concerns."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from flask import Response, g, request

from sacristy.errors import NoRoomToWait, SacristyError, StillAsleep
from sacristy.gateway.counts import Of
from sacristy.gateway.ids import Ids
from sacristy.gateway.ledger import Entry, Outcome
from sacristy.gateway.metrics import Meter
from sacristy.gateway.proxy import SERVER_ERROR, Answered, Proxy, Question
from sacristy.gateway.shadow import Comparison, Shadow
from sacristy.gateway.upstream import Answer
from sacristy.names import Stage, parse_stage

SENT_ON = ("Content-Type", "Content-Encoding", "Accept")
HANDED_BACK = frozenset({"content-type", "retry-after", "allow", "inference-header-content-length"})
OK, BAD_REQUEST = 200, 400
JSON = {"Content-Type": "application/json"}
PREDICTION, BY_CANARY = "X-Sacristy-Prediction", "X-Sacristy-Canary"
LONGEST_KEY = 128


class Desk:
    """Where predictions are asked for."""

    def __init__(
        self, proxy: Proxy, shadow: Shadow, note: Callable[[Entry | Comparison], None], ids: Ids, meter: Meter
    ) -> None:
        """`note` takes what is to be kept, and never waits."""
        self.proxy, self._shadow, self._keep, self._ids, self._meter = proxy, shadow, note, ids, meter

    def predict(self, model: str, path: str, *, named_inside: bool, version: str = "") -> Response:
        """Ask a model what the current request asks. `named_inside`: put the prediction's id into the answer too.

        `version`: the one that the path names.
        """
        headers = JSON | headers_on()  # Triton's own client names no type
        question = Question(model, asked_stage(), path, request.get_data(), headers, asked_key(), version=version)
        start = time.perf_counter()
        try:
            answered = self.proxy.ask(question)
        except SacristyError as error:
            if isinstance(error, StillAsleep | NoRoomToWait):
                self._meter.held.labels(model, str(question.stage), "refused").inc()
            if error.http_status >= SERVER_ERROR:
                self._note_failure(question, _now_ms(), time.perf_counter() - start)
            raise
        if answered.held:
            self._meter.held.labels(model, str(question.stage), "answered").inc()
        at_ms = _now_ms()  # after a wait: feedback on a fresh id is worth waiting for, until the log has it
        identity = self._ids.new(at_ms)
        self._note(question, answered, identity, at_ms)
        response = handed_back(answered.answer, identity if named_inside else "")
        if answered.answer.status == OK:
            response.headers[PREDICTION] = identity
        if answered.by_canary:
            response.headers[BY_CANARY] = "1"
        return response

    def _note(self, question: Question, answered: Answered, identity: str, at_ms: int) -> None:
        answer, route = answered.answer, answered.route
        outcome: Outcome = "answered" if answer.status < BAD_REQUEST else "refused"
        if answer.status >= SERVER_ERROR:
            outcome = "failed"
        kept = (question.body or b"", answer.body) if outcome == "answered" else (b"", b"")
        of = Of(question.model, question.stage, route.version)
        at = datetime.fromtimestamp(at_ms / 1000, UTC)
        self._meter.count(of, outcome, answered.took_s)
        self._keep(Entry(identity, at, of, route.run, outcome, answered.took_s * 1000, user(), *kept))
        canary = answered.routed.canary
        if answered.canary_failed and canary:  # else its failures would be missing where two versions are compared
            failed = Of(question.model, question.stage, canary.route.version)
            self._keep(Entry("", at, failed, canary.route.run, "failed", 0.0, user()))
        if outcome == "answered" or answered.by_canary or answered.canary_failed:
            self._shadow.offer(question, answered)

    def _note_failure(self, question: Question, at_ms: int, took_s: float) -> None:
        route = self.proxy.table.routes().get(question.model, {}).get(question.stage)
        if route:
            of = Of(question.model, question.stage, route.version)
            at = datetime.fromtimestamp(at_ms / 1000, UTC)
            self._meter.count(of, "failed", took_s)
            self._keep(Entry("", at, of, route.run, "failed", took_s * 1000, user()))


def asked_stage() -> Stage:
    """Return the stage that the request names, production by default. Raises InvalidName."""
    return parse_stage(request.args.get("stage", Stage.PRODUCTION))


def asked_key() -> str:
    """Return by what a request stays with one version: a header or cookie that its sender chose; empty if neither."""
    return (request.headers.get("X-Sacristy-Key") or request.cookies.get("sacristy_key", ""))[:LONGEST_KEY]


def headers_on() -> dict[str, str]:
    """Return the headers that a model server gets."""
    kept = {name: request.headers[name] for name in SENT_ON if name in request.headers}
    return kept | {"X-Request-Id": g.request_id}


def handed_back(answer: Answer, identity: str = "") -> Response:
    """Return a model server's answer, with the prediction's id in its JSON object if there is one."""
    body = answer.body
    if identity and answer.status == OK and body.startswith(b'{"'):
        body = b'{"prediction_id":"' + identity.encode() + b'",' + body[1:]
    kept = {
        name.title(): value
        for name, value in answer.headers.items()
        if name in HANDED_BACK or name.startswith("x-sacristy-")
    }
    return Response(body, answer.status, kept)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def user() -> str:
    """Return the name of the token that asks."""
    return str(g.token.name)
