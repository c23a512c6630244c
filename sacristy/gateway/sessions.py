"""Sessions of people in browsers: signed cookies that no script reads and no other site sends."""

from __future__ import annotations

import secrets

from flask import Flask
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask.wrappers import Request

from sacristy.errors import NotInitialised
from sacristy.settings import Settings

SESSION_S = 12 * 3600


class Sessions(SecureCookieSessionInterface):
    """Flask's. Where nobody shows a cookie, as no program does, nothing is made to check one with."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of a request; an empty one if it brings none."""
        return (
            super().open_session(app, request) if self.get_cookie_name(app) in request.cookies else self.session_class()
        )


def set_up_sessions(app: Flask, settings: Settings) -> None:
    """Give the app its key and its cookie. Before `sacristy init` no session outlives a worker."""
    try:
        app.secret_key = settings.secret("gateway-session-key")
    except NotInitialised:
        app.secret_key = secrets.token_urlsafe(32)
    app.session_interface = Sessions()
    app.config.update(
        SESSION_COOKIE_NAME="sacristy_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_SECURE=settings.gateway_url.startswith("https://"),
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=SESSION_S,
    )
