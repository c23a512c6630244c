"""What programs ask of the gateway: predictions, the list of models, its health, the Open Inference Protocol."""

from __future__ import annotations

import re
import uuid
from typing import Any

from flask import Blueprint, Response, g, request

from sacristy import __version__
from sacristy.gateway.asking import Desk, asked_stage, handed_back, headers_on
from sacristy.gateway.proxy import Proxy, Question
from sacristy.gateway.rights import Right, needs
from sacristy.names import Stage, parse_model, parse_version
from sacristy.serving.answers import json_answer
from sacristy.targets.routes import Route

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
OIP_MODEL = "/v2/models/<model>"
OIP_VERSION = "/v2/models/<model>/versions/<version>"


def routes(desk: Desk) -> Blueprint:
    """Return the addresses for programs."""
    pages = Blueprint("api", __name__)
    pages.before_app_request(_name_request)
    proxy = desk.proxy

    @pages.post("/models/<model>/predict")
    @needs(Right.PREDICT)
    def predict(model: str) -> Response:
        return desk.predict(model, "/predict", named_inside=True)

    @pages.get("/models/<model>/openapi.json")
    @needs(Right.PREDICT)
    def openapi(model: str) -> Response:
        question = Question(model, asked_stage(), "/openapi.json", headers=headers_on())
        return handed_back(proxy.ask(question).answer)

    @pages.get("/models")
    @needs(Right.PREDICT)
    def models() -> Response:
        return json_answer({"models": listed(proxy)})

    @pages.get("/health")
    def health() -> Response:
        return json_answer({"status": "ok", "models": len(proxy.table.routes())})

    _add_inference_protocol(pages, desk)
    return pages


def listed(proxy: Proxy) -> dict[str, dict[str, Any]]:
    """Return what answers, by model and stage, without the instances' own addresses."""
    return {
        model: {stage: _public(model, stage, route) for stage, route in sorted(stages.items())}
        for model, stages in sorted(proxy.table.routes().items())
        if stages
    }


def _add_inference_protocol(pages: Blueprint, desk: Desk) -> None:
    """Pass version 2 of the protocol on to the model that its path names."""

    @pages.get("/v2")
    @needs(Right.PREDICT)
    def server() -> Response:
        return json_answer({"name": "sacristy", "version": __version__, "extensions": []})

    @pages.get("/v2/health/live")
    @needs(Right.PREDICT)
    def live() -> Response:
        return json_answer({"live": True})

    @pages.get("/v2/health/ready")
    @needs(Right.PREDICT)
    def ready() -> Response:
        return json_answer({"ready": True})

    @pages.get(OIP_MODEL)
    @pages.get(OIP_MODEL + "/ready")
    @pages.get(OIP_VERSION)
    @pages.get(OIP_VERSION + "/ready")
    @needs(Right.PREDICT)
    def metadata(model: str, version: str = "") -> Response:
        path = _path_on(model, version)
        wakes = not path.endswith("/ready")
        question = Question(model, asked_stage(), path, headers=headers_on(), wakes=wakes, version=version)
        return handed_back(desk.proxy.ask(question).answer)

    @pages.post(OIP_MODEL + "/infer")
    @pages.post(OIP_VERSION + "/infer")
    @needs(Right.PREDICT)
    def infer(model: str, version: str = "") -> Response:
        return desk.predict(model, _path_on(model, version), named_inside=False, version=version)


def _path_on(model: str, version: str) -> str:
    """Return a model server's path for this request, put together from words that were parsed. Raises InvalidName."""
    named = f"/v2/models/{parse_model(model)}" + (f"/versions/{parse_version(version)}" if version else "")
    last = request.path.rpartition("/")[2]
    return f"{named}/{last}" if last in ("infer", "ready") and last not in (model, version) else named


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
