"""Gunicorn's threaded worker; a thread stays with a connection for a moment, and what is no valid HTTP is told in JSON.

Gunicorn hands a connection back to its main thread after each request, and the next request from there to a thread:
two changes of thread under one interpreter's lock, for each request of a client that asks one after another. Here the
thread that answered waits for a moment, as long as there are threads enough for everybody.

Such requests (a negative Content-Length, one that contradicts Transfer-Encoding, headers without end) never reach
Flask. Gunicorn answers some of them with a 5xx, though the fault is the client's: here they all are 4xx.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import struct
import threading
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import orjson
from gunicorn.http.errors import ExpectationFailed, LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.gthread import ThreadWorker

from sacristy.serving.pace import paced_parser

STATUSES: dict[type[Exception], HTTPStatus] = {
    LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}
STAY_MS, STAYS = 10, 5  # how long a thread looks at a connection before it looks at who else waits, and how often
replacing = threading.Event()


def replace_worker() -> None:
    """End this worker once its other requests are answered; Gunicorn starts another."""
    replacing.set()
    os.kill(os.getpid(), signal.SIGTERM)


class Worker(ThreadWorker):  # type: ignore[misc]
    """What `worker_class` in gunicorn.py names."""

    def init_process(self) -> None:
        """Begin with nobody staying."""
        self._seats = seats(self.cfg.threads)
        super().init_process()

    def handle(self, conn: Any) -> Any:
        """Answer the requests of a connection until none comes for a moment. Says what becomes of it."""
        if conn.parser is None:
            conn.parser = paced_parser(self.cfg, conn.sock, conn.client)
        after = self._handle_next(conn)
        if after is not True or not self._seats.acquire(blocking=False):
            return after
        try:
            while after is True and self._comes_soon(conn):
                after = self._handle_next(conn)
        finally:
            self._seats.release()
        return after

    def _handle_next(self, conn: Any) -> Any:
        conn.parser.unreader.begin()
        return super().handle(conn)

    def _comes_soon(self, conn: Any) -> bool:
        if conn.is_http2 or conn.parser.unreader.buf.getvalue():
            return False
        waiting = select.poll()
        waiting.register(conn.sock, select.POLLIN)
        for _ in range(STAYS):
            if not self.alive or self.tpool._work_queue.qsize():
                return False
            if waiting.poll(STAY_MS):
                return True
        return False

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


def seats(count: int) -> threading.Semaphore:
    """Return how many threads may stay with a connection: half of all, and never the only one."""
    return threading.Semaphore(count // 2)


def limit_waits(listeners: Iterable[Any], pause_s: int) -> None:
    """Let accepted connections inherit a limit on each wait for the client, so that none can hold a thread for ever."""
    pause = struct.pack("ll", pause_s, 0)
    for listener in listeners:
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            listener.sock.setsockopt(socket.SOL_SOCKET, option, pause)


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
