"""A tiny model server for the gateway's tests: any WSGI server runs `answering:app`; VERSION says who answers."""

from __future__ import annotations

import json
import os
import time
from typing import Any


def app(environ: dict[str, Any], start: Any) -> list[bytes]:
    """Answer predictions after SLEEP_S, and an OpenAPI document."""
    environ["wsgi.input"].read()
    version = os.environ["VERSION"]
    content: Any = {"predictions": [{"label": "7", "probabilities": {"7": 0.9, "1": 0.1}}], "version": version}
    content |= {"model": "digits", "run": 2, "digest": "sha256:" + version * 64}
    if environ["PATH_INFO"] == "/openapi.json":
        numbers = {"type": "array", "items": {"type": "number", "maximum": 16}, "minItems": 64, "maxItems": 64}
        content = {"components": {"schemas": {"PredictRequest": {"properties": {"instances": {"items": numbers}}}}}}
    else:
        time.sleep(float(os.environ.get("SLEEP_S", "0")))
    body = json.dumps(content).encode()
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        ("X-Sacristy-Version", version),
    ]
    start("200 OK", headers)
    return [body]
