"""What programs ask of the gateway: predictions, the list of models, its health."""

from __future__ import annotations

import re
import uuid
from typing import Any

from flask import Blueprint, Response, g, request

from sacristy.gateway.proxy import Proxy, Question
from sacristy.gateway.rights import Right, needs
from sacristy.gateway.shadow import Shadow
from sacristy.gateway.upstream import Answer
from sacristy.names import Stage, parse_stage
from sacristy.serving.answers import json_answer
from sacristy.targets.routes import Route

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
SENT_ON = ("Content-Type", "Content-Encoding", "Accept")
HANDED_BACK = ("Content-Type", "Retry-After", "Allow")


def routes(proxy: Proxy, shadow: Shadow) -> Blueprint:
    """Return the pages for programs."""
    pages = Blueprint("api", __name__)
    pages.before_app_request(_name_request)

    @pages.post("/models/<model>/predict")
    @needs(Right.PREDICT)
    def predict(model: str) -> Response:
        question = Question(model, asked_stage(), "/predict", request.get_data(), _headers_on(), asked_key())
        answered = proxy.ask(question)
        shadow.offer(question, answered)
        return _handed_back(answered.answer)

    @pages.get("/models/<model>/openapi.json")
    @needs(Right.PREDICT)
    def openapi(model: str) -> Response:
        question = Question(model, asked_stage(), "/openapi.json", headers=_headers_on())
        return _handed_back(proxy.ask(question).answer)

    @pages.get("/models")
    @needs(Right.PREDICT)
    def models() -> Response:
        return json_answer({"models": listed(proxy)})

    @pages.get("/health")
    def health() -> Response:
        return json_answer({"status": "ok", "models": len(proxy.table.routes())})

    return pages


def listed(proxy: Proxy) -> dict[str, dict[str, Any]]:
    """Return what answers, by model and stage, without the instances' own addresses."""
    return {
        model: {stage: _public(model, stage, route) for stage, route in sorted(stages.items())}
        for model, stages in sorted(proxy.table.routes().items())
        if stages
    }


def asked_stage() -> Stage:
    """Return the stage that the request names, production by default. Raises InvalidName."""
    return parse_stage(request.args.get("stage", Stage.PRODUCTION))


def asked_key() -> str:
    """Return by what a request stays with one version: a header or cookie that its sender chose; empty if neither."""
    return request.headers.get("X-Sacristy-Key") or request.cookies.get("sacristy_key", "")


def _public(model: str, stage: str, route: Route) -> dict[str, Any]:
    predict = f"/models/{model}/predict" + ("" if stage == Stage.PRODUCTION else f"?stage={stage}")
    facts = {"version": route.version, "digest": route.digest, "run": route.run, "predict": predict}
    beside = {
        kind: {"version": share.route.version, "digest": share.route.digest, "percent": share.percent}
        for kind, share in route.shares.items()
    }
    return facts | beside


def _name_request() -> None:
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _headers_on() -> dict[str, str]:
    kept = {name: request.headers[name] for name in SENT_ON if name in request.headers}
    return kept | {"X-Request-Id": g.request_id}


def _handed_back(answer: Answer) -> Response:
    response = Response(answer.body, answer.status)
    for name, value in answer.headers.items():
        if name in HANDED_BACK or name.startswith("X-Sacristy-"):
            response.headers[name] = value
    return response
