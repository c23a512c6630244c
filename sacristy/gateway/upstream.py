"""Asking a model server: connections that are kept, time-outs, and the two ways in which asking can fail."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from sacristy.connections import ODD, Connections

CONNECT_TIMEOUT_S = 1.0
READY_TIMEOUT_S = 1.0
OK = 200
READ_TIMEOUT_S = 60.0  # longer than any model's own limit, so that the model server says what was too slow
MOST_SERVERS = 64  # to which connections are kept
ONE_LINE = re.compile(r"[^\r\n]*")
PRINTED = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model server answered. The headers' names are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NotAnswered(Exception):
    """No whole answer came: refused, or a connection that was kept was closed. Another may be asked."""


class TooSlow(Exception):
    """The time-out passed. The server may be at it still, so asking again would only add to its load."""


class Servers:
    """Connections to the servers asked last. Safe for threads."""

    def __init__(self, most: int = MOST_SERVERS) -> None:
        self._most = most
        self._known: OrderedDict[str, Connections] = OrderedDict()
        self._lock = threading.Lock()

    def to(self, address: str) -> Connections:
        """Return the connections to http://host:port; those to the server that was asked least lately are let go."""
        with self._lock:
            found = self._known.get(address)
            if found is None:
                found = self._known[address] = Connections(address, None, CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
                if len(self._known) > self._most:
                    self._known.popitem(last=False)
            else:
                self._known.move_to_end(address)
            return found


_servers = Servers()


def ask(
    method: str, url: str, body: bytes | None, headers: Mapping[str, str], read_s: float = READ_TIMEOUT_S
) -> Answer:
    """Send one request and return its answer, whatever its status. Raises NotAnswered or TooSlow."""
    address = urlsplit(url)
    head = head_of(method, address.netloc, url[url.index(address.netloc) + len(address.netloc) :], body, headers)
    try:
        with _servers.to(f"{address.scheme}://{address.netloc}").one(read_s) as connection:
            status = connection.ask(head, body or b"")
            return Answer(status, connection.headers, connection.read())
    except TimeoutError:
        raise TooSlow(f"{read_s:.0f} s") from None
    except ODD as error:
        raise NotAnswered(getattr(error, "strerror", "") or str(error) or type(error).__name__) from None


def head_of(method: str, host: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
    """Return the head of a request. Raises ValueError for what would not stay in its line."""
    if not PRINTED.fullmatch(path):
        raise ValueError(f"not a path: {path!r}")
    lines = [f"{method} {path} HTTP/1.1", f"host: {host}", f"content-length: {len(body or b'')}"]
    for name, value in headers.items():
        if not ONE_LINE.fullmatch(value):
            raise ValueError(f"not a header: {name}")
        lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


def is_ready(url: str) -> bool:
    """Say whether an instance answers that it is ready, within a second."""
    try:
        return ask("GET", f"{url}/v2/health/ready", None, {}, READY_TIMEOUT_S).status == OK
    except (NotAnswered, TooSlow):
        return False
