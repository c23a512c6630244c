"""HTTP/1.1 as far as a gateway's plain answers go, on connections that are kept.

urllib3 and http.client take longer over a small request than the gateway does, and copy each byte of a large answer
twice more. What is out of the ordinary (chunks, another status, an end too early) is an error here: ask by another way.
"""

from __future__ import annotations

import select
import socket
import ssl
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from urllib.parse import urlsplit

HEAD_LIMIT = 64 << 10  # bytes of an answer's head
RECORD = 16 << 10  # bytes; TLS gives no more at a time
PIECE = 1 << 20  # bytes that have to be on their way within the time-out
ODD = (OSError, HTTPException)  # all that is raised here


class Connection:
    """One connection, for one request after another. Raises one of ODD for whatever goes wrong."""

    def __init__(self, stream: socket.socket) -> None:
        self._socket = stream
        self._rest = b""  # of the body, that came with the head
        self._closing = False
        self.headers: dict[str, str] = {}
        self.length = 0  # bytes of the body that were not read yet

    @property
    def finished(self) -> bool:
        """Say whether the last answer was read to its end, and another may follow it."""
        return not self.length and not self._closing

    @property
    def quiet(self) -> bool:
        """Say whether nothing arrived since, such as the other side's end."""
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        return not waiting.poll(0)

    def ask(self, head: bytes, body: bytes | bytearray | memoryview = b"") -> int:
        """Send a request and return the answer's status; `headers` and `length` tell of its body."""
        self.length = -1
        if len(body) < RECORD:
            self._socket.sendall(b"".join((head, body)))
        else:
            self._socket.sendall(head)
            view = memoryview(body)
            for at in range(0, len(view), PIECE):
                self._socket.sendall(view[at : at + PIECE])
        found = b""
        while (end := found.find(b"\r\n\r\n")) < 0:
            more = self._socket.recv(RECORD)
            if not more or len(found) > HEAD_LIMIT:
                raise HTTPException("no answer")
            found += more
        status, self.headers = parse_head(found[:end])
        self._rest = found[end + 4 :]
        self._closing = self.headers.get("connection", "").lower() == "close"
        self.length = body_length(self.headers)
        return status

    def read_into(self, view: memoryview) -> None:
        """Fill the view with the next bytes of the body."""
        size = len(view)
        if size > self.length or len(self._rest) > size:
            raise HTTPException("another length")
        count = len(self._rest)
        view[:count] = self._rest
        self._rest = b""
        while count < size:
            more = self._socket.recv_into(view[count:])
            if not more:
                raise HTTPException("cut short")
            count += more
        self.length -= size

    def close(self) -> None:
        """End it."""
        self._socket.close()


class Connections:
    """Those to one gateway that nobody uses just now; there are as many as are used at once. Safe for threads."""

    def __init__(self, endpoint: str, context: ssl.SSLContext | None, connect_s: float, read_s: float) -> None:
        address = urlsplit(endpoint)
        self._host, self._port = address.hostname or "", address.port or (443 if context else 80)
        self._context, self._connect_s, self._read_s = context, connect_s, read_s
        self._idle: list[Connection] = []
        weakref.finalize(self, close_all, self._idle)

    @contextmanager
    def one(self) -> Iterator[Connection]:
        """Give a connection; it is kept if its answer was read to the end. Raises ODD."""
        connection = self._kept() or Connection(self._open())
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if connection.finished:
            self._idle.append(connection)
        else:
            connection.close()

    def _open(self) -> socket.socket:
        plain = socket.create_connection((self._host, self._port), self._connect_s)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        stream = self._context.wrap_socket(plain, server_hostname=self._host) if self._context else plain
        stream.settimeout(self._read_s)
        return stream

    def _kept(self) -> Connection | None:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was faster
                return None
            if connection.quiet:
                return connection
            connection.close()
        return None


def close_all(connections: list[Connection]) -> None:
    """Close them."""
    while connections:
        connections.pop().close()


def parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Return status and headers (names in small letters) of an answer. Raises HTTPException."""
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    status = rest[:3]
    if version != "HTTP/1.1" or not (status.isascii() and status.isdigit()):
        raise HTTPException("no HTTP/1.1")
    pairs = (line.partition(":") for line in lines)
    return int(status), {name.lower(): value.strip() for name, _, value in pairs}


def body_length(headers: dict[str, str]) -> int:
    """Return how many bytes follow a head. Raises HTTPException where it does not say so plainly."""
    length = headers.get("content-length", "")
    if "transfer-encoding" in headers or not (length.isascii() and length.isdigit()):
        raise HTTPException("no plain length")
    return int(length)
