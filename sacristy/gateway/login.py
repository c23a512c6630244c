"""Logging a browser in with a token, and out."""

from __future__ import annotations

import secrets

from flask import Blueprint, Response, make_response, redirect, render_template, request, session
from werkzeug.wrappers import Response as AnyResponse

from sacristy.errors import NotAuthenticated, SacristyError
from sacristy.gateway.guard import Guard, begin_session, require_csrf
from sacristy.gateway.rights import Right, needs

KEY_COOKIE = "sacristy_key"


def routes(guard: Guard) -> Blueprint:
    """Return the login page and what its form and the button to log out do."""
    pages = Blueprint("login", __name__)

    @pages.get("/login")
    def show() -> str:
        return _form("")

    @pages.post("/login")
    def enter() -> AnyResponse | tuple[str, int]:
        require_csrf()
        guard.refuse_after_failures()
        try:
            token = guard.token_of(request.form.get("token", "").strip())
        except NotAuthenticated as error:
            return _form(str(error)), error.http_status
        begin_session(token)
        response = redirect(_local(request.form.get("next", "")), 303)
        response.set_cookie(
            KEY_COOKIE, secrets.token_hex(8), httponly=True, samesite="Strict", secure=request.is_secure
        )
        return response

    @pages.post("/logout")
    @needs(Right.PREDICT)
    def leave() -> AnyResponse:
        session.clear()
        return redirect("/login", 303)

    @pages.errorhandler(SacristyError)
    def show_error(error: SacristyError) -> Response:
        response = make_response(_form(str(error)), error.http_status)
        if "retry_after_s" in error.fields:
            response.headers["Retry-After"] = str(error.fields["retry_after_s"])
        return response

    return pages


def _form(wrong: str) -> str:
    return render_template("login.html", wrong=wrong, next=_local(request.values.get("next", "")))


def _local(place: str) -> str:
    """Return where to go after the login: a path of this gateway and of nobody else's.

    Tabs and ends of lines vanish on the way to the browser, and may bring two slashes together.
    """
    plain = place.startswith("/") and not place.startswith(("//", "/\\")) and place.isprintable()
    return place if plain else "/"
