"""Ending an instance while it works on a request: the request must be answered all the same."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

TAKEN_AFTER_S = 0.3  # until a worker has taken the connection and waits for the rest of the body
CLOSED_WITHIN_S = 3.0  # an image that ends no longer accepts connections; body.py allows pauses of 5 s
TIMEOUT_S = 30.0


def status_when_ended(url: str, body: bytes, stop: Callable[[], None]) -> int:
    """Send half of a request, end the instance, send the rest, and return the answer's status; 0 for no answer.

    The second half is sent when new connections are refused, so that the end has certainly begun.
    """
    place = urlsplit(url)
    address = (str(place.hostname), int(place.port or 80))
    head = f"POST /predict HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
    wire = f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
    half = len(body) // 2
    with ThreadPoolExecutor(1) as pool:
        with socket.create_connection(address, TIMEOUT_S) as connection:
            connection.sendall(wire + body[:half])
            time.sleep(TAKEN_AFTER_S)
            ended = pool.submit(stop)
            _wait_until_closed(address)
            status = _finish(connection, body[half:])
        ended.result()
    return status


def _finish(connection: socket.socket, rest: bytes) -> int:
    answer = http.client.HTTPResponse(connection, method="POST")
    try:
        connection.sendall(rest)
        answer.begin()
        answer.read()
    except (OSError, http.client.HTTPException):
        return 0
    return answer.status


def _wait_until_closed(address: tuple[str, int]) -> None:
    deadline = time.monotonic() + CLOSED_WITHIN_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(address, 0.5).close()
        except OSError:
            return
        time.sleep(0.05)
