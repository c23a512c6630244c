"""How every answer looks: JSON, the X-Sacristy-* headers, and errors that name the field and what was expected."""

from __future__ import annotations

import logging
import re
import uuid
from typing import Any

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from sacristy import errors
from sacristy.serving.loading import Identity

log = logging.getLogger(__name__)


def json_answer(content: Any, status: int = 200) -> Response:
    """Return a JSON response."""
    return Response(orjson.dumps(content), status, content_type="application/json")


def error_answer(error: errors.SacristyError) -> Response:
    """Return the response for a known failure, with the status of its class."""
    content = error_content(error)
    # The Open Inference Protocol wants text under "error"; its clients show it. What is ours stands beside it.
    body = {**content, "error": content["message"]} if request.path.startswith("/v2") else {"error": content}
    response = json_answer(body, error.http_status)
    if "retry_after_s" in error.fields:
        response.headers["Retry-After"] = str(error.fields["retry_after_s"])
    return response


def error_content(error: errors.SacristyError) -> dict[str, Any]:
    """Return code, message, field and expected of a failure; the last two are null where no field is at fault."""
    code = re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()
    message = f"{error}; {error.advice}"
    return {"code": code, "message": message, **{name: error.fields.get(name) for name in ("field", "expected")}}


def dress(app: Flask, identity: Identity) -> None:
    """Give every answer of the app its headers, and every failure its JSON."""
    headers = {**identity.headers, "X-Content-Type-Options": "nosniff"}

    @app.after_request
    def sign(response: Response) -> Response:
        response.headers.update(headers)
        return response

    app.register_error_handler(errors.SacristyError, error_answer)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unforeseen)


def _http_error(error: HTTPException) -> Response:
    if isinstance(error, MethodNotAllowed):
        methods = ", ".join(sorted(error.valid_methods or []))
        known = errors.MethodNotAllowed(field="method", reason=f"{request.method} is not served here", expected=methods)
        response = error_answer(known)
        response.headers["Allow"] = methods
        return response
    if error.code == errors.NoSuchPage.http_status:
        return error_answer(
            errors.NoSuchPage(field="path", reason=f"{request.path} is not served", expected="a path of /openapi.json")
        )
    response = error_answer(errors.RequestRefused(field="request", reason=error.description, expected="valid HTTP"))
    response.status_code = error.code or 400
    return response


def _unforeseen(error: Exception) -> Response:
    name = uuid.uuid4().hex[:12]
    log.error("request %s failed", name, exc_info=error)
    return error_answer(errors.PredictionFailed(id=name))
