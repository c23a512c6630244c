"""Before any view runs: who asks, may they, how often, and (from a browser) did they mean to."""

from __future__ import annotations

import hmac
import ipaddress
import math
import secrets

from flask import Flask, g, request, session

from sacristy.errors import CsrfMissing, NotAllowed, NotAuthenticated, TooManyRequests
from sacristy.gateway.limits import Limits, Rate
from sacristy.gateway.rights import PUBLIC, right_of
from sacristy.gateway.tokens import Token, Tokens, stamp_of

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FAILED_LOGINS = Rate(per_second=1 / 12, burst=5)  # of one address
LONGEST_SECRET = 256


class Guard:
    """Authenticates by bearer token or session, and denies what no rule allows."""

    def __init__(self, tokens: Tokens, limits: Limits) -> None:
        self.tokens, self.limits = tokens, limits

    def watch(self, app: Flask) -> None:
        """Stand before every view of the app."""

        @app.before_request
        def check() -> None:
            view = app.view_functions.get(request.endpoint or "")
            if view is None or request.endpoint in PUBLIC:
                return  # an unknown address is answered by 404
            token = g.token = self.authenticate()
            right = right_of(view)
            if right is None or not token.may(right):
                raise NotAllowed(name=token.name, role=token.role, right=right or "this")
            self._count(token)

    def authenticate(self) -> Token:
        """Return who asks. Raises NotAuthenticated, TooManyRequests (of failed ones) or CsrfMissing."""
        shown = request.headers.get("Authorization")
        if shown is not None:
            kind, _, secret = shown.partition(" ")
            return self.token_of(secret.strip() if kind.lower() == "bearer" else "")
        token = self._of_session()
        if request.method not in SAFE_METHODS:
            require_csrf()
        return token

    def token_of(self, secret: str) -> Token:
        """Return the token shown, or count a failure of this address. Raises NotAuthenticated or TooManyRequests."""
        token = self.tokens.find(secret) if 0 < len(secret) <= LONGEST_SECRET else None
        if token:
            return token
        self.limit(f"failed:{address()}", FAILED_LOGINS)
        raise NotAuthenticated(reason="this token is not known")

    def limit(self, key: str, rate: Rate) -> None:
        """Take one from a key's rate. Raises TooManyRequests."""
        wait_s = self.limits.take(key, rate)
        if wait_s:
            raise TooManyRequests(retry_after_s=math.ceil(wait_s))

    def refuse_after_failures(self) -> None:
        """Raise TooManyRequests while this address has failed too often."""
        wait_s = self.limits.wait(f"failed:{address()}", FAILED_LOGINS)
        if wait_s:
            raise TooManyRequests(retry_after_s=math.ceil(wait_s))

    def _of_session(self) -> Token:
        if "name" not in session:
            raise NotAuthenticated(reason="there is no token")
        token = self.tokens.named(str(session["name"]), str(session.get("stamp", "")))
        if token is None:
            session.clear()
            raise NotAuthenticated(reason="this session has ended")
        return token

    def _count(self, token: Token) -> None:
        self.limit(f"token:{token.sha256}", Rate(token.per_second, burst=max(1.0, token.per_second)))


def begin_session(token: Token) -> None:
    """Log a token in."""
    session.clear()
    session.permanent = True
    session.update(name=token.name, stamp=stamp_of(token), csrf=secrets.token_urlsafe(24))


def csrf_token() -> str:
    """Return what every form of this session must send back."""
    if "csrf" not in session:
        session["csrf"] = secrets.token_urlsafe(24)
    return str(session["csrf"])


def require_csrf() -> None:
    """Raise CsrfMissing unless the request carries its session's token, as a header or a form's field."""
    sent = request.headers.get("X-CSRF-Token") or request.form.get("csrf", "")
    if not hmac.compare_digest(str(session.get("csrf", "")).encode(), sent.encode()) or not sent:
        raise CsrfMissing


def address() -> str:
    """Return who is on the other end: whom a proxy in a private network names last, or the other end itself.

    Who pretends to be such a proxy escapes the limit on wrong tokens, which have 256 bits to guess. Not to believe
    proxies would let one person's wrong tokens lock everybody out.
    """
    direct = request.remote_addr or ""
    named = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    try:
        return str(ipaddress.ip_address(named)) if named and ipaddress.ip_address(direct).is_private else direct
    except ValueError:
        return direct
