"""A line between two workers of one training: JSON both ways, opened by those alone who know the training's token."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

ALIVE_S = (10, 5, 4)  # the kernel asks a silent other side after so long, so often, so many times: then it is lost
News = dict[str, Any]


class Line:
    """`tell` never raises: that the other side is gone shows in `lost`."""

    def __init__(self, connection: Connection) -> None:
        self.lost = False
        self._connection, self._turn = connection, threading.Lock()
        notice_silence(connection)

    def tell(self, **news: Any) -> None:
        """Send something, from any thread."""
        with self._turn:
            try:
                self._connection.send_bytes(json.dumps(news).encode())
            except OSError:
                self.lost = True

    def heard(self, within_s: float = 0.0) -> list[News]:
        """Return what has come, waiting for the first of it. Once nothing can come any more, it is `lost`."""
        found: list[News] = []
        try:
            while self._connection.poll(0 if found else within_s):
                found.append(json.loads(self._connection.recv_bytes()))
        except (EOFError, OSError):
            self.lost = True
        return found

    def close(self) -> None:
        """Hang up."""
        self.lost = True
        self._connection.close()


def listening(port: int, key: str, backlog: int) -> Listener:
    """Return what other workers can call."""
    return Listener(("", port), backlog=backlog, authkey=key.encode())


def answered(listener: Listener) -> Line | None:
    """Wait for a call; return its line, or None for a caller who does not know the key or goes away."""
    with suppress(AuthenticationError, EOFError, OSError):
        return Line(listener.accept())
    return None


def call(address: str, key: str) -> Line | None:
    """Call host:port; return the line, or None if nobody is there yet, or it is no worker of this training."""
    host, _, port = address.rpartition(":")
    with suppress(AuthenticationError, EOFError, OSError):
        return Line(Client((host, int(port)), authkey=key.encode()))
    return None


def notice_silence(connection: Connection) -> None:
    """Have the kernel break a connection whose other side's machine is gone, which nobody would hear of."""
    idle, every, count = ALIVE_S
    with socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        same.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle)
        same.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, every)
        same.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, count)
        same.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, (idle + every * count) * 1000)
