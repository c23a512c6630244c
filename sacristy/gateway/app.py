"""The Flask app of the gateway: `sacristy.gateway.app:create_app()`. It needs no other service in order to answer."""

from __future__ import annotations

import logging

from flask import Flask, Response, g
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from sacristy import settings as project_settings
from sacristy.errors import BodyTooLarge, MethodNotAllowed, NoSuchPage, PredictionFailed, RequestRefused, SacristyError
from sacristy.gateway import api, pages
from sacristy.gateway.proxy import Proxy
from sacristy.gateway.shadow import Shadow
from sacristy.serving.answers import error_answer
from sacristy.settings import Settings

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 16 * 1024 * 1024  # each model has a limit of its own below this one
CONTENT_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def create_app(settings: Settings | None = None) -> Flask:
    """Return the app for a project; the default is that of the environment and the current folder."""
    settings = settings or project_settings.load()
    proxy = Proxy(settings)
    app = Flask("sacristy.gateway")
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.url_map.strict_slashes = False
    app.register_blueprint(api.routes(proxy, Shadow(proxy, lambda _: None)))
    app.register_blueprint(pages.routes(proxy, settings))
    app.register_error_handler(SacristyError, error_answer)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unforeseen)
    app.after_request(_sign)
    return app


def _sign(response: Response) -> Response:
    response.headers.update(HEADERS)
    response.headers["X-Request-Id"] = g.get("request_id", "")
    return response


def _http_error(error: HTTPException) -> Response:
    if isinstance(error, RequestEntityTooLarge):
        most = f"at most {MAX_BODY_BYTES} bytes"
        return error_answer(BodyTooLarge(field="body", reason="is too large", expected=most))
    kinds: dict[int | None, type[RequestRefused]] = {404: NoSuchPage, 405: MethodNotAllowed}
    kind = kinds.get(error.code, RequestRefused)
    response = error_answer(kind(field="request", reason=error.name, expected="a page that / or /models names"))
    response.status_code = error.code or response.status_code
    return response


def _unforeseen(error: Exception) -> Response:
    log.error("request %s failed", g.get("request_id"), exc_info=error)
    return error_answer(PredictionFailed(id=g.get("request_id")))
