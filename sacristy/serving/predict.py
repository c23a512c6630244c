"""POST /predict: the answer that leads back to everything."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Response, request

from sacristy.serving.answers import json_answer
from sacristy.serving.body import read_json_body
from sacristy.serving.service import Service


def routes(service: Service) -> Blueprint:
    """Return the page /predict."""
    pages = Blueprint("predict", __name__)
    identity = asdict(service.identity)

    @pages.post("/predict")
    def predict() -> Response:
        body = read_json_body(request, service.limits.max_body_bytes)
        answers = service.predict(*service.schemas.parse_request(body))
        return json_answer(answers.model_dump(mode="json") | identity)

    return pages
