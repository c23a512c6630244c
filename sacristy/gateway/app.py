"""The Flask app of the gateway: `sacristy.gateway.app:create_app()`. It needs no other service in order to answer."""

from __future__ import annotations

import atexit
import logging
from contextlib import suppress
from http import HTTPStatus

from flask import Flask, Response, g, request
from gunicorn.http.errors import ParseException
from pymongo.errors import PyMongoError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from sacristy import settings as project_settings
from sacristy.errors import (
    BodyTooLarge,
    BodyUnreadable,
    DatabaseUnreachable,
    MethodNotAllowed,
    NoSuchPage,
    NotInitialised,
    PredictionFailed,
    RequestRefused,
    SacristyError,
)
from sacristy.gateway import api, insight, login, metrics, openapi, operations, ops, pages
from sacristy.gateway.asking import Desk
from sacristy.gateway.database import Connection
from sacristy.gateway.guard import Guard, csrf_token
from sacristy.gateway.ids import Ids
from sacristy.gateway.ledger import Keep, Ledger
from sacristy.gateway.limits import Limits
from sacristy.gateway.metrics import Meter
from sacristy.gateway.proxy import Proxy
from sacristy.gateway.pulse import Pulse
from sacristy.gateway.rights import TokenRole
from sacristy.gateway.sessions import set_up_sessions
from sacristy.gateway.shadow import Shadow
from sacristy.gateway.tokens import Tokens, admit
from sacristy.project import load_model
from sacristy.serving.answers import error_answer
from sacristy.settings import DATABASE, Settings
from sacristy.targets.routes import RETRY_AFTER_S
from sacristy.tracking.database import reason

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
    connection = Connection(settings)
    pulse = Pulse(connection.database)
    atexit.register(pulse.close)
    proxy = Proxy(settings, pulse)
    app = Flask("sacristy.gateway")
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.url_map.strict_slashes = False
    set_up_sessions(app, settings)
    app.jinja_env.globals["csrf_token"] = csrf_token
    _admit_own(settings)
    guard = Guard(Tokens(settings.tokens_file), Limits(settings.home / "gateway" / "limits"))
    guard.watch(app)
    app.register_blueprint(login.routes(guard))
    _add_predictions(app, proxy, connection, settings)
    app.register_blueprint(pages.routes(proxy, settings))
    app.register_error_handler(SacristyError, error_answer)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(ParseException, _unreadable)
    app.register_error_handler(Exception, _unforeseen)
    app.after_request(_sign)
    return app


def _add_predictions(app: Flask, proxy: Proxy, connection: Connection, settings: Settings) -> None:
    """Add what asks for predictions, logs them and tells of them."""
    meter, ids = Meter(), Ids(str(app.secret_key))
    ledger = Ledger(connection.client, DATABASE, lambda model: kept_inputs(settings, model), meter)
    atexit.register(ledger.close)
    note = ledger.note if settings.prediction_log else lambda entry: None
    desk = Desk(proxy, Shadow(proxy, note, meter.copies_dropped.inc), note, ids, meter)
    app.register_blueprint(api.routes(desk))
    app.register_blueprint(insight.routes(proxy, connection, ids, ledger.note))
    app.register_blueprint(metrics.routes(meter))
    app.register_blueprint(openapi.routes(proxy))
    app.register_blueprint(ops.routes(settings, proxy, connection))
    app.register_blueprint(operations.routes(settings, proxy, connection))
    app.register_error_handler(PyMongoError, _database_away)


def kept_inputs(settings: Settings, model: str) -> Keep:
    """Return what a model's model.toml lets us keep of its inputs; of a model without one, their hashes."""
    try:
        return load_model(settings.project, model).file.privacy.inputs
    except SacristyError:
        return "hash"


def _database_away(error: PyMongoError) -> Response:
    why = reason(error)[:120]
    return error_answer(DatabaseUnreachable(address="the database", reason=why, retry_after_s=RETRY_AFTER_S))


def _admit_own(settings: Settings) -> None:
    """Let in the tokens that were made for this machine, one for each role, where they are at hand."""
    for role in TokenRole:
        with suppress(NotInitialised):
            admit(settings.tokens_file, role, role, settings.secret(f"gateway-{role}"))


def _sign(response: Response) -> Response:
    response.headers.update(HEADERS)
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="sacristy"'
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


def _unreadable(error: ParseException) -> Response:
    """Answer a body whose chunks are none: Gunicorn finds that out while the body is read."""
    return error_answer(BodyUnreadable(field="body", reason=str(error), expected="a well-formed body"))


def _unforeseen(error: Exception) -> Response:
    log.error("request %s failed", g.get("request_id"), exc_info=error)
    return error_answer(PredictionFailed(id=g.get("request_id")))
