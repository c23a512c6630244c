"""Reading a request's body: its type, its size, its pace and its keys are checked before the model's schema is.

Duplicate keys: pydantic's parser, like most, keeps the last of two, and another reader (a proxy, a log) may keep the
first. A body with at most one colon has at most one key and cannot repeat any, which is every request of numbers;
only the others are read once more with Python's own parser, which shows the pairs.
"""

from __future__ import annotations

import json
from typing import Any

from flask import Request
from gunicorn.http.errors import ParseException

from sacristy.errors import BodyTooLarge, BodyTooSlow, BodyUnreadable, DuplicateKey, NotJson, WrongContentType

PAUSE_S = 5  # gunicorn.py sets it on the sockets
CHUNK_BYTES = 64 * 1024
JSON_TYPE = "application/json"


def read_json_body(request: Request, limit_bytes: int) -> bytes:
    """Return the body: announced as JSON, within the limit, and with no key twice in any object.

    Raises WrongContentType, BodyTooLarge, BodyTooSlow, BodyUnreadable, NotJson or DuplicateKey.
    """
    check_content_type(request)
    body = _read_limited(request, limit_bytes)
    if not body:
        raise NotJson(field="body", reason="is empty", expected="a JSON object")
    check_keys(body)
    return body


def check_content_type(request: Request) -> None:
    """Raise WrongContentType unless the request announces uncompressed JSON in UTF-8."""
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype != JSON_TYPE or charset not in ("utf-8", "utf8"):
        raise WrongContentType(field="Content-Type", reason=f"{request.content_type!r} is not read", expected=JSON_TYPE)
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":
        raise WrongContentType(field="Content-Encoding", reason=f"{encoding!r} is not read", expected="no encoding")


def check_keys(body: bytes) -> None:
    """Raise DuplicateKey if an object of the body names a key twice; what is no JSON is left to the schema."""
    if body.count(b":") <= 1:
        return
    try:
        json.loads(body, object_pairs_hook=_unique)
    except RecursionError:
        raise NotJson(field="body", reason="is nested too deeply", expected="JSON of a sensible depth") from None
    except ValueError:  # the schema's parser says it better
        return


def _read_limited(request: Request, limit_bytes: int) -> bytes:
    if (request.content_length or 0) > limit_bytes:
        raise _too_large(limit_bytes)
    read = bytearray()
    stream = request.stream
    while chunk := _read_chunk(stream):
        read += chunk
        if len(read) > limit_bytes:
            raise _too_large(limit_bytes)
    if request.content_length is not None and len(read) < request.content_length:
        raise BodyUnreadable(field="Content-Length", reason="the body ended early", expected=f"{len(read)} bytes")
    return bytes(read)


def _read_chunk(stream: Any) -> bytes:
    try:
        return bytes(stream.read(CHUNK_BYTES))
    except ParseException as error:
        raise BodyUnreadable(field="body", reason=str(error), expected="a well-formed body") from None
    except (BlockingIOError, TimeoutError):
        expected = f"no pause longer than {PAUSE_S} s"
        raise BodyTooSlow(field="body", reason="did not arrive in time", expected=expected) from None


def _too_large(limit_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(field="body", reason="is too large", expected=f"at most {limit_bytes} bytes")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    for name, value in pairs:
        if name in keys:
            raise DuplicateKey(field=name, reason="is named twice in one object", expected="each key once")
        keys[name] = value
    return keys
