"""A tiny model server for the gateway's tests: any WSGI server runs `answering:app`.

VERSION says who answers, SLEEP_S after how long, KIND which of the schemas it has. What it answers to a text is its own
word: a text with "rude" in it is negative.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

EVIL = "<img src=x onerror=alert(1)>"
RIDE = {
    "type": "object",
    "required": ["distance_km", "passengers", "zone"],
    "properties": {
        "distance_km": {
            "type": "number",
            "minimum": 0,
            "maximum": 100,
            "title": "Distance",
            "description": "kilometres",
        },
        "passengers": {"type": "integer", "minimum": 1, "maximum": 6, "default": 1},
        "zone": {"enum": ["centre", "airport"]},
        "night": {"type": "boolean", "default": False},
        "comment": {"anyOf": [{"type": "string", "maxLength": 20}, {"type": "null"}], "default": None},
        "stops": {"type": "array", "items": {"$ref": "#/components/schemas/Stop"}, "maxItems": 3},
    },
}
STOP = {"type": "object", "required": ["minutes"], "properties": {"minutes": {"type": "integer", "minimum": 0}}}
INSTANCES: dict[str, Any] = {
    "digits": {"type": "array", "items": {"type": "number", "maximum": 16}, "minItems": 64, "maxItems": 64},
    "news": {"type": "string", "maxLength": 1000},
    "reviews": {"type": "string", "maxLength": 1000, "description": "A review in English"},
    "rides": {"$ref": "#/components/schemas/Ride"},
    "other": {"type": "object"},
}
PREDICTIONS: dict[str, Any] = {
    "digits": {"label": "7", "probabilities": {"7": 0.9, "1": 0.1}},
    "news": {"label": EVIL, "probabilities": {EVIL: 0.7, "World": 0.2, "Sports": 0.1}},
    "rides": 12.5,
    "other": 3.5,
}
WEIGHTS = {"great": 2.1, "tacos": 0.4, "rude": -3.2, "waiter": -0.6, "never": -1.1, "!": 0.3, "café": 0.9}


def answer(kind: str, body: bytes) -> dict[str, Any]:
    """Return predictions, and explanations where asked."""
    if kind != "reviews":
        return {"predictions": [PREDICTIONS[kind]]}
    asked = json.loads(body)
    text = asked["instances"][0].lower()
    positive = 0.09 if "rude" in text else 0.93
    shares = {"negative": 1 - positive, "positive": positive}
    found = [{"feature": word, "contribution": weight} for word, weight in WEIGHTS.items() if word in text]
    given = {"predictions": [{"label": max(shares, key=shares.__getitem__), "probabilities": shares}]}
    return given | ({"explanations": [found]} if asked.get("explain") else {})


def app(environ: dict[str, Any], start: Any) -> list[bytes]:
    """Answer predictions, and an OpenAPI document."""
    body = environ["wsgi.input"].read()
    version, kind = os.environ["VERSION"], os.environ.get("KIND", "digits")
    if environ["PATH_INFO"] == "/openapi.json":
        explain = {"explain": {"type": "boolean"}} if kind == "reviews" else {}
        request = {"properties": {"instances": {"items": INSTANCES[kind]}, **explain}}
        content: Any = {"components": {"schemas": {"PredictRequest": request, "Ride": RIDE, "Stop": STOP}}}
    else:
        time.sleep(float(os.environ.get("SLEEP_S", "0")))
        content = answer(kind, body) if environ["PATH_INFO"] == "/predict" else {"predictions": []}
        content |= {"version": version, "model": kind, "run": int(version), "digest": "sha256:" + version * 64}
    payload = json.dumps(content).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(payload)), "X-Sacristy-Version": version}
    start("200 OK", [*headers.items()])
    return [payload]
