"""Gunicorn's threaded worker, with JSON instead of HTML for requests that are no valid HTTP.

Such requests (a negative Content-Length, one that contradicts Transfer-Encoding, headers without end) never reach
Flask. Gunicorn answers some of them with a 5xx, though the fault is the client's: here they all are 4xx.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from http import HTTPStatus
from typing import Any

import orjson
from gunicorn.http.errors import ExpectationFailed, LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.gthread import ThreadWorker

STATUSES: dict[type[Exception], HTTPStatus] = {
    LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}
replacing = threading.Event()


def replace_worker() -> None:
    """End this worker once its other requests are answered; Gunicorn starts another."""
    replacing.set()
    os.kill(os.getpid(), signal.SIGTERM)


class Worker(ThreadWorker):  # type: ignore[misc]
    """What `worker_class` in gunicorn.py names."""

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer a request that could not be parsed, and log it in one line."""
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
            return
        self.log.warning("refused a request from %s: %s", addr[0] if addr else "a socket", exc)
        try:
            client.sendall(refusal(exc))
        except OSError as error:
            self.log.debug("the client was gone: %s", error)


class ShortStalls(logging.Filter):
    """Reports a client that stopped in the middle of its headers in one line; Gunicorn logs a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten the record where needed, and keep it."""
        if record.exc_info and isinstance(record.exc_info[1], BlockingIOError):
            record.msg, record.args, record.exc_info = "a client stopped in the middle of its request", (), None
        return True


def refusal(error: Exception) -> bytes:
    """Return the whole HTTP answer to a request that could not be parsed."""
    status = STATUSES.get(type(error), HTTPStatus.BAD_REQUEST)
    content = {"code": "invalid_http", "message": f"request: {error}", "field": "request", "expected": "valid HTTP"}
    body = orjson.dumps({"error": content})
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("latin-1") + body
