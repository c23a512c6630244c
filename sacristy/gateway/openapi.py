"""/openapi.json: what the gateway itself takes and gives, as OpenAPI 3.1. Each model has its own beside it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from pydantic.json_schema import models_json_schema

from sacristy import __version__
from sacristy.gateway.feedback import Opinion
from sacristy.gateway.orders import Approval, Canary, Promotion, Rollback
from sacristy.gateway.proxy import Proxy
from sacristy.gateway.rights import Right, needs
from sacristy.names import MODEL_PATTERN, VERSION_PATTERN, Stage
from sacristy.serving.answers import json_answer
from sacristy.serving.openapi import ERROR, TEMPLATE
from sacristy.serving.tensors import InferRequest

REFUSALS = {
    400: "Not JSON, or a word that follows no grammar",
    401: "No token, or one that is not known",
    403: "The token's role has not the right",
    404: "No such model, version, prediction or page",
    405: "Not with this method",
    408: "The body came too slowly",
    409: "It contradicts what is there",
    413: "The body is too large",
    415: "The body is not announced as application/json",
    422: "The body does not follow the schema",
    429: "More requests than the token may send; see Retry-After",
    503: "Nothing answers at the moment; see Retry-After",
    504: "The model took too long",
}
INSTANCES = {
    "type": "object",
    "required": ["instances"],
    "properties": {"instances": {"type": "array", "minItems": 1}, "explain": {"type": "boolean"}},
}


def routes(proxy: Proxy) -> Blueprint:
    """Return the page /openapi.json."""
    pages = Blueprint("openapi", __name__)

    @pages.get("/openapi.json")
    @needs(Right.PREDICT)
    def show() -> Response:
        return json_answer(describe(sorted(proxy.table.routes())))

    return pages


def describe(models: list[str]) -> dict[str, Any]:
    """Return the document; `models` are those that are there now."""
    kinds = (Opinion, Promotion, Approval, Rollback, Canary, InferRequest)
    _, bodies = models_json_schema([(kind, "validation") for kind in kinds], ref_template=TEMPLATE)
    model = _parameter("model", {"enum": models} if models else {"pattern": f"^{MODEL_PATTERN}$"}, place="path")
    version = _parameter("version", {"pattern": f"^{VERSION_PATTERN}$"}, place="path")
    paths = {**_for_models(model), **_inference(model, version), **_others()}
    bearer = {"type": "http", "scheme": "bearer"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sacristy's gateway", "version": __version__},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": bearer},
            "schemas": bodies["$defs"] | {"PredictRequest": INSTANCES, "Error": ERROR},
        },
    }


def _for_models(model: dict[str, Any]) -> dict[str, Any]:
    stage = _parameter("stage", {"enum": list(Stage)})
    hours = _parameter("hours", {"type": "number", "exclusiveMinimum": 0, "maximum": 8784})
    pair = [_parameter(name, {"pattern": f"^{VERSION_PATTERN}$"}) for name in "ab"]
    predict = "Predict each instance; the model's own /openapi.json says what one is"
    return {
        "/models": {"get": _operation("What answers, by model and stage")},
        "/models/{model}/predict": {"post": _operation(predict, [model, stage], "PredictRequest")},
        "/models/{model}/openapi.json": {"get": _operation("The model's own schema", [model, stage])},
        "/models/{model}/statistics": {
            "get": _operation("Volume, latency, labels, agreement", [model, stage, hours, *pair])
        },
        "/models/{model}/canary": {"get": _operation("How what is beside the stage's own does", [model, stage])},
    }


def _inference(model: dict[str, Any], version: dict[str, Any]) -> dict[str, Any]:
    """Return the addresses of the Open Inference Protocol, version 2."""
    one, named = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
    return {
        "/v2": {"get": _operation("The server")},
        "/v2/health/live": {"get": _operation("Whether the gateway lives")},
        "/v2/health/ready": {"get": _operation("Whether the gateway is ready")},
        **{
            path: {"get": _operation(text, parameters)}
            for start, parameters in ((one, [model]), (named, [model, version]))
            for path, text in ((start, "A model's tensors"), (f"{start}/ready", "Whether a model is ready"))
        },
        f"{one}/infer": {"post": _operation("Predict with tensors", [model], "InferRequest")},
        f"{named}/infer": {"post": _operation("Predict with tensors", [model, version], "InferRequest")},
    }


def _others() -> dict[str, Any]:
    model = _parameter("model", {"pattern": MODEL_PATTERN})
    return {
        "/feedback": {"post": _operation("Say whether a prediction was right", [], "Opinion")},
        "/health": {"get": _operation("Whether the gateway lives")},
        "/metrics": {"get": _operation("Figures for Prometheus")},
        "/openapi.json": {"get": _operation("This document")},
        "/ops/models": {"get": _operation("Versions and stages with their evidence")},
        "/ops/audit": {"get": _operation("Who moved which stage", [model])},
        "/ops/approvals": {"get": _operation("What waits for somebody else's word", [model])},
        "/ops/approve": {"post": _operation("Agree that an image goes to a stage", [], "Approval")},
        "/ops/promote": {"post": _operation("Move a stage and deploy", [], "Promotion")},
        "/ops/rollback": {"post": _operation("Move a stage back and deploy", [], "Rollback")},
        "/ops/canary": {"post": _operation("Start, promote or drop a canary", [], "Canary")},
    }


def _operation(summary: str, parameters: list[dict[str, Any]] | None = None, body: str = "") -> dict[str, Any]:
    fine = {str(status): {"description": summary} for status in ((200, 201) if body else (200,))}
    refused = {str(status): {"description": text, "content": _content("Error")} for status, text in REFUSALS.items()}
    sent = {"requestBody": {"required": True, "content": _content(body)}} if body else {}
    return {"summary": summary, "parameters": parameters or [], **sent, "responses": fine | refused}


def _parameter(name: str, schema: dict[str, Any], place: str = "query") -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "schema": {"type": "string"} | schema}


def _content(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": TEMPLATE.format(model=schema)}}}
