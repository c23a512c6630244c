"""/openapi.json: the model's own schema as OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from sacristy.serving.answers import json_answer
from sacristy.serving.service import Service

TEMPLATE = "#/components/schemas/{model}"
REFUSALS = {
    400: "Not JSON, a key named twice, or a broken body",
    408: "The body came too slowly",
    413: "The body is too large",
    415: "The body is not announced as application/json",
    422: "The body does not follow the schema",
    500: "The model failed; the id is in the log",
    503: "Overloaded (see Retry-After) or not ready",
    504: "The prediction took too long",
}
IDENTITY: dict[str, Any] = {
    "model": {"type": "string"},
    "version": {"type": "string"},
    "digest": {"type": "string"},
    "run": {"type": "integer"},
}
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "field", "expected"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "field": {"type": ["string", "null"]},
                "expected": {"type": ["string", "null"]},
            },
        }
    },
}


def routes(service: Service) -> Blueprint:
    """Return the page /openapi.json."""
    pages = Blueprint("openapi", __name__)
    document = describe(service)

    @pages.get("/openapi.json")
    def show() -> Response:
        return json_answer(document)

    return pages


def describe(service: Service) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of a service."""
    name = service.identity.model
    schemas = service.schemas.definitions(TEMPLATE)
    answer = schemas.pop("Predictions")
    answer["title"] = "PredictAnswer"
    answer["properties"] |= IDENTITY
    answer["required"] = ["predictions", *IDENTITY]  # explanations come where asked
    paths = {
        "/predict": {"post": _predict_operation()},
        "/v2": _get("The server, in the Open Inference Protocol"),
        "/v2/health/live": _get("Whether the process answers"),
        "/v2/health/ready": _get("Whether the warm-up prediction succeeded", 503),
        f"/v2/models/{name}": _get("The model's tensors"),
        f"/v2/models/{name}/ready": _get("Whether this model is ready", 503),
        f"/v2/models/{name}/infer": {"post": {"summary": "Predict with tensors", "responses": _responses({})}},
        "/metrics": _get("Figures for Prometheus"),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": name, "version": service.identity.version},
        "paths": paths,
        "components": {"schemas": schemas | {"PredictAnswer": answer, "Error": ERROR}},
    }


def _predict_operation() -> dict[str, Any]:
    return {
        "summary": "Predict each instance",
        "requestBody": {"required": True, "content": _content("PredictRequest")},
        "responses": _responses({"content": _content("PredictAnswer")}),
    }


def _responses(success: dict[str, Any]) -> dict[str, Any]:
    refusals = {str(status): {"description": text, "content": _content("Error")} for status, text in REFUSALS.items()}
    return {"200": {"description": "One answer for each instance, in order", **success}, **refusals}


def _get(summary: str, *statuses: int) -> dict[str, Any]:
    responses = {str(status): {"description": REFUSALS[status]} for status in statuses}
    return {"get": {"summary": summary, "responses": {"200": {"description": summary}, **responses}}}


def _content(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": TEMPLATE.format(model=schema)}}}
