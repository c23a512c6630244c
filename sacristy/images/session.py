"""Talking to a registry: who we are, whom we trust, and trying again. One place for authentication and back-off."""

from __future__ import annotations

import base64
import random
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from sacristy.errors import InvalidLocation, RegistryAway, RegistryRefused
from sacristy.images.registry import Access

ATTEMPTS = 6
FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 10.0
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Session:
    """Requests to one registry: authenticated with basic or token authentication as it asks, retried with back-off."""

    def __init__(self, url: str, access: Access) -> None:
        self.url = checked_url(url, access)
        self._access = access
        self._tokens: dict[str, str] = {}
        try:
            verify: Any = ssl.create_default_context(cafile=access.ca) if access.ca else True
        except OSError as error:
            raise InvalidLocation(location=access.ca, reason=f"no certificates: {error}") from None
        headers = {"Accept-Encoding": "identity", "User-Agent": "sacristy"}
        self._client = httpx.Client(base_url=self.url, verify=verify, timeout=TIMEOUT, headers=headers)

    def request(self, method: str, path: str, *, allow: tuple[int, ...] = (), **words: Any) -> httpx.Response:
        """Send a request that may be repeated, and return its answer: a success, or one of the statuses `allow`.

        Raises RegistryAway after the last attempt, or RegistryRefused.
        """
        for attempt in range(ATTEMPTS):
            last = attempt == ATTEMPTS - 1
            try:
                answer = self.once(method, path, **words)
            except httpx.TransportError as error:
                if last:
                    raise RegistryAway(location=self.url, reason=_reason(error)) from None
                time.sleep(wait_s(attempt))
                continue
            if answer.status_code in AGAIN and not last and answer.status_code not in allow:
                time.sleep(wait_s(attempt, answer.headers.get("Retry-After", "")))
                continue
            return self.checked(answer, allow)
        raise AssertionError("the last attempt returns or raises")

    def once(self, method: str, path: str, **words: Any) -> httpx.Response:
        """Send one request, answering one demand for authentication. Raises httpx.TransportError."""
        headers = words.pop("headers", {})
        scope = _scope(path, method)
        answer = self._client.request(method, path, headers=headers | self._authorization(scope), **words)
        if answer.status_code == 401 and self._authenticate(answer, scope):
            answer = self._client.request(method, path, headers=headers | self._authorization(scope), **words)
        return answer

    @contextmanager
    def stream(self, path: str, offset: int) -> Iterator[httpx.Response]:
        """Open the body of a GET from an offset, following the registry to its storage. One attempt."""
        scope = _scope(path, "GET")
        for again in (True, False):
            headers = self._authorization(scope) | ({"Range": f"bytes={offset}-"} if offset else {})
            with self._client.stream("GET", path, headers=headers, follow_redirects=True) as answer:
                if answer.status_code == 401 and again and self._authenticate(answer, scope):
                    continue
                yield answer
                return

    def checked(self, answer: httpx.Response, allow: tuple[int, ...] = ()) -> httpx.Response:
        """Return an answer that is a success or allowed, or raise RegistryAway or RegistryRefused."""
        if answer.is_success or answer.status_code in allow:
            return answer
        if answer.status_code in AGAIN:
            raise RegistryAway(location=self.url, reason=f"it answers {answer.status_code}")
        raise RegistryRefused(location=self.url, status=answer.status_code, reason=refusal(answer))

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _authorization(self, scope: str) -> dict[str, str]:
        token = self._tokens.get(scope) or self._tokens.get("")
        return {"Authorization": token} if token else {}

    def _authenticate(self, answer: httpx.Response, scope: str) -> bool:
        """Do what a 401 demands, and say whether trying again makes sense."""
        scheme, _, rest = answer.headers.get("WWW-Authenticate", "").partition(" ")
        sent = answer.request.headers.get("Authorization", "")
        if scheme.lower() == "basic" and self._access.user and not sent:
            pair = f"{self._access.user}:{self._access.password}".encode()
            self._tokens[""] = f"Basic {base64.b64encode(pair).decode()}"
            return True
        if scheme.lower() == "bearer":
            facts = dict(re.findall(r'(\w+)="([^"]*)"', rest))
            self._tokens[scope] = f"Bearer {self._fetch_token(facts, scope)}"
            return True
        return False

    def _fetch_token(self, facts: dict[str, str], scope: str) -> str:
        realm = facts.get("realm", "")
        if not _is_safe(realm, self.url):
            raise RegistryRefused(location=self.url, status=401, reason=f"it sends us to {realm!r} for a token")
        query = {"service": facts.get("service", ""), "scope": facts.get("scope") or scope}
        access = (self._access.user, self._access.password) if self._access.user else None
        try:
            answer = self._client.get(realm, params=query, auth=access)
        except httpx.TransportError as error:
            raise RegistryAway(location=realm, reason=_reason(error)) from None
        try:
            content = self.checked(answer).json()
            return str(content.get("token") or content["access_token"])
        except (ValueError, KeyError, AttributeError, TypeError):
            raise RegistryRefused(location=realm, status=answer.status_code, reason="it gives no token") from None


def checked_url(url: str, access: Access) -> str:
    """Return a registry's address without a trailing slash, or raise InvalidLocation.

    A password travels over TLS, or to this very machine.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise InvalidLocation(location=url, reason="a registry is https://host:port")
    if parts.scheme == "http" and access.user and parts.hostname not in LOOPBACK:
        raise InvalidLocation(location=url, reason="a password would travel in the clear; use https://")
    return url.rstrip("/")


def wait_s(attempt: int, asked: str = "") -> float:
    """Return how long to wait before the next attempt: what the server asks, else exponential with jitter."""
    if asked.isdecimal():
        return min(float(asked), LONGEST_WAIT_S)
    wait: float = FIRST_WAIT_S * 2**attempt * random.uniform(0.5, 1.5)  # noqa: S311
    return min(wait, LONGEST_WAIT_S)


def refusal(answer: httpx.Response) -> str:
    """Return the registry's own words for a refusal: `CODE: message`."""
    try:
        first = answer.json()["errors"][0]
        return f"{first['code']}: {first.get('message', '')}"
    except (ValueError, KeyError, IndexError, TypeError, httpx.ResponseNotRead):
        return answer.reason_phrase or "it gives no reason"


def _scope(path: str, method: str) -> str:
    found = re.search(r"/v2/(.+?)/(?:blobs|manifests|tags)/", path)
    if not found:
        return "registry:catalog:*"
    actions = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}.get(method, "pull,push")
    return f"repository:{found[1]}:{actions}"


def _is_safe(realm: str, registry: str) -> bool:
    there, here = urlsplit(realm), urlsplit(registry)
    return there.scheme == "https" or (there.scheme, there.hostname) == (here.scheme, here.hostname)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
