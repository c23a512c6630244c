"""A tiny model server for the gateway's tests: any WSGI server runs `answering:app`.

VERSION says who answers, SLEEP_S after how long, KIND which of three schemas it has.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

EVIL = "<img src=x onerror=alert(1)>"
INSTANCES: dict[str, Any] = {
    "digits": {"type": "array", "items": {"type": "number", "maximum": 16}, "minItems": 64, "maxItems": 64},
    "news": {"type": "string", "maxLength": 1000},
    "other": {"type": "object"},
}
PREDICTIONS: dict[str, Any] = {
    "digits": {"label": "7", "probabilities": {"7": 0.9, "1": 0.1}},
    "news": {"label": EVIL, "probabilities": {EVIL: 0.9, "World": 0.1}},
    "other": 3.5,
}


def app(environ: dict[str, Any], start: Any) -> list[bytes]:
    """Answer predictions, and an OpenAPI document."""
    environ["wsgi.input"].read()
    version, kind = os.environ["VERSION"], os.environ.get("KIND", "digits")
    content: Any = {"predictions": [PREDICTIONS[kind]], "version": version, "model": kind, "run": 1}
    content["digest"] = "sha256:" + version * 64
    if environ["PATH_INFO"] == "/openapi.json":
        request = {"properties": {"instances": {"items": INSTANCES[kind]}}}
        content = {"components": {"schemas": {"PredictRequest": request}}}
    else:
        time.sleep(float(os.environ.get("SLEEP_S", "0")))
    body = json.dumps(content).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), "X-Sacristy-Version": version}
    start("200 OK", [*headers.items()])
    return [body]
