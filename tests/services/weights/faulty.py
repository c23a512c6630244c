"""A small HTTP gateway in front of the real one that misbehaves as told: refuses, resets, truncates."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

PIECE = 1 << 16
ALWAYS = 1_000_000
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close by a reset
ERROR = '<?xml version="1.0"?><Error><Code>{code}</Code><Message>as told</Message></Error>'


@dataclass
class Fault:
    """What happens to the next `times` requests of a method whose address holds `part`.

    `status` and `code`: the answer. `reset_after`, `truncate_after`: bytes of the request's body, of the answer's.
    """

    method: str
    part: str = ""
    status: int = 0
    code: str = ""
    reset_after: int = -1
    truncate_after: int = -1
    times: int = 1


@dataclass
class FaultyGateway:
    """Listens on `url` until closed. `asked` holds (method, path) of every request that was handed on.

    `certificate`: a file of key and certificate, with which it speaks TLS.
    """

    upstream: str
    ca: Path
    host: str = "127.0.0.1"
    faults: list[Fault] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    certificate: Path | None = None

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._context = ssl.create_default_context(cafile=str(self.ca))
        self._server = ThreadingHTTPServer((self.host, 0), self._handler())
        self._server.daemon_threads = True
        if self.certificate:
            own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            own.load_cert_chain(self.certificate)
            taken = {"server_side": True, "do_handshake_on_connect": False}  # in the connection's own thread
            self._server.socket = own.wrap_socket(self._server.socket, **taken)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        self.url = f"http{'s' if self.certificate else ''}://{self.host}:{self._server.server_port}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def count(self, method: str, part: str) -> int:
        """Return how many requests of a kind were handed on."""
        return sum(asked == method and part in path for asked, path in self.asked)

    def fault(self, method: str, path: str) -> Fault | None:
        """Return what is to go wrong with a request, counting it."""
        with self._lock:
            for fault in self.faults:
                if fault.times > 0 and fault.method == method and fault.part in path:
                    fault.times -= 1
                    return fault
        return None

    def connect(self) -> http.client.HTTPSConnection:
        """Return a connection to the real gateway."""
        address = urlsplit(self.upstream)
        return http.client.HTTPSConnection(address.hostname or "", address.port, context=self._context, timeout=60)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_all(self) -> None:
                fault = gateway.fault(self.command, self.path)
                length = int(self.headers.get("Content-Length") or 0)
                if fault and fault.reset_after >= 0:
                    self.rfile.read(min(fault.reset_after, length))
                    return self.reset()
                body = self.rfile.read(length)
                if fault and fault.status:
                    return self.refuse(fault)
                gateway.asked.append((self.command, self.path))
                return self.hand_on(body, fault.truncate_after if fault else -1)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_all

            def hand_on(self, body: bytes, truncate_after: int) -> None:
                connection = gateway.connect()
                try:
                    connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                    for name, value in self.headers.items():
                        if name.lower() not in ("expect", "connection"):
                            connection.putheader(name, value)
                    connection.endheaders(body or None)
                    with contextlib.closing(connection.getresponse()) as answer:
                        self.answer(answer, truncate_after)
                except OSError:
                    self.reset()
                finally:
                    connection.close()

            def answer(self, answer: http.client.HTTPResponse, truncate_after: int) -> None:
                self.send_response_only(answer.status, answer.reason)
                chunked = answer.getheader("Content-Length") is None and self.command != "HEAD"
                content = answer.read() if chunked else b""
                for name, value in answer.getheaders():
                    if name.lower() not in ("connection", "transfer-encoding"):
                        self.send_header(name, value)
                if chunked:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                sent = 0
                while piece := content or answer.read(PIECE):
                    content = b""
                    if 0 <= truncate_after < sent + len(piece):
                        self.wfile.write(piece[: truncate_after - sent])
                        self.close_connection = True
                        return
                    self.wfile.write(piece)
                    sent += len(piece)

            def refuse(self, fault: Fault) -> None:
                content = ERROR.format(code=fault.code).encode() if self.command != "HEAD" else b""
                self.send_response_only(fault.status)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def reset(self) -> None:
                self.close_connection = True
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                self.connection.close()

            def finish(self) -> None:
                try:
                    super().finish()
                except (OSError, ValueError):
                    return

            def log_message(self, *_: object) -> None:
                return

        return Handler
