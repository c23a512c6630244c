"""The Open Inference Protocol, version 2, over HTTP with JSON: what KServe, Triton and their clients speak."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from pydantic import ValidationError

from sacristy import __version__
from sacristy.errors import ModelNotReady, NoSuchPage
from sacristy.serving import tensors
from sacristy.serving.answers import json_answer
from sacristy.serving.body import read_json_body
from sacristy.serving.schema import refusal
from sacristy.serving.service import Service

MODEL = "/v2/models/<name>"
VERSION = "/v2/models/<name>/versions/<version>"


def routes(service: Service) -> Blueprint:
    """Return the pages below /v2."""
    pages = Blueprint("oip", __name__)
    _add_health(pages, service)
    _add_model(pages, service)

    @pages.get("/v2")
    def server() -> Response:
        return json_answer({"name": "sacristy", "version": __version__, "extensions": []})

    return pages


def _add_health(pages: Blueprint, service: Service) -> None:
    @pages.get("/v2/health/live")
    def live() -> Response:
        return json_answer({"live": True})

    @pages.get("/v2/health/ready")
    def ready() -> Response:
        _require_ready(service)
        return json_answer({"ready": True})

    @pages.get(MODEL + "/ready")
    @pages.get(VERSION + "/ready")
    def model_ready(name: str, version: str | None = None) -> Response:
        _require_served(service, name, version)
        _require_ready(service)
        return json_answer({"name": name, "ready": True})


def _add_model(pages: Blueprint, service: Service) -> None:
    kind = tensors.input_kind(service.schemas.instance_schema)

    @pages.get(MODEL)
    @pages.get(VERSION)
    def metadata(name: str, version: str | None = None) -> Response:
        _require_served(service, name, version)
        described = {"inputs": [kind.metadata], "outputs": tensors.output_metadata(service.prediction)}
        return json_answer({"name": name, "versions": [service.identity.version], "platform": "sacristy", **described})

    @pages.post(MODEL + "/infer")
    @pages.post(VERSION + "/infer")
    def infer(name: str, version: str | None = None) -> Response:
        _require_served(service, name, version)
        body = read_json_body(request, service.limits.max_body_bytes)
        try:
            question = tensors.InferRequest.model_validate_json(body)
        except ValidationError as error:
            raise refusal(error) from None
        instances = service.schemas.check_instances(tensors.to_instances(question.inputs[0], kind))
        predictions = service.predict(instances).predictions  # type: ignore[attr-defined]
        return json_answer(_answer(service, question, predictions))


def _answer(service: Service, question: tensors.InferRequest, predictions: list[Any]) -> dict[str, Any]:
    outputs = tensors.select(tensors.to_tensors(service.prediction, predictions), question.outputs)
    identity = service.identity
    answer = {"model_name": identity.model, "model_version": identity.version, "outputs": outputs}
    return answer if question.id is None else answer | {"id": question.id}


def _require_served(service: Service, name: str, version: str | None) -> None:
    identity = service.identity
    if name != identity.model:
        raise NoSuchPage(field="model", reason=f"{name!r} is not served here", expected=identity.model)
    if version not in (None, identity.version):
        raise NoSuchPage(field="version", reason=f"{version!r} is not served here", expected=identity.version)


def _require_ready(service: Service) -> None:
    if not service.health.ready:
        raise ModelNotReady(reason=service.health.reason)
