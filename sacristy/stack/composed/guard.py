"""`python -m sacristy.stack.composed.guard ENGINE SOCKET NETWORK`: the engine's socket, for models and no more.

Who may talk to a Docker engine is root on its host. So the operator does not: it talks to this, which has no network,
passes on what container_rules.py and archive_rules.py let pass, and answers all else with 403. One request for each
connection: the engine is told to close after it, and never reads a second one that was not looked at.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import signal
import socket
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qs, urlsplit

from sacristy.stack.composed.archive_rules import NotOurs, looked_at
from sacristy.stack.composed.chunked import Chunked, in_chunks
from sacristy.stack.composed.container_rules import is_models, kind_of, refusal_of_container
from sacristy.targets.naming import is_instance

log = logging.getLogger("guard")

MAX_HEAD, MAX_BODY = 32 << 10, 1 << 20
PASSED_ON = ("Content-Type", "Content-Length", "Transfer-Encoding", "User-Agent", "Accept")
CHUNK = 1 << 16
IDLE_S = 600.0


class Refused(Exception):
    """Why a request does not pass."""


class Guard(socketserver.ThreadingUnixStreamServer):
    """Listens on a socket of its own, for members of the owner's group of users."""

    daemon_threads = True

    def __init__(self, engine: str, path: Path, network: str) -> None:
        """Raises OSError."""
        self.engine, self.network = engine, network
        path.unlink(missing_ok=True)
        super().__init__(str(path), Conversation)
        path.chmod(0o600)


class Conversation(socketserver.BaseRequestHandler):
    """One connection: one request and its answer."""

    server: Guard

    def handle(self) -> None:
        """Look at the request; pass it on or refuse it."""
        client: socket.socket = self.request
        client.settimeout(IDLE_S)
        stream = client.makefile("rb")
        with suppress(OSError, ValueError):
            if not stream.peek(1):
                return  # somebody looked whether there is anybody
            try:
                head, parts = self._judged(stream)
            except Refused as reason:
                client.sendall(answer_of(reason))
                return
            with socket.socket(socket.AF_UNIX) as engine:
                engine.connect(self.server.engine)
                engine.sendall(head)
                exchange(client, parts, engine)

    def _judged(self, stream: BinaryIO) -> tuple[bytes, Iterator[bytes]]:
        """Return the head that the engine gets, and the rest, which may turn out to be refused only underway."""
        method, target, headers = read_head(stream)
        kind, container = kind_of(method, target)
        rest = rest_of(stream)
        if kind == "create":
            body = self._container(target, read_body(stream, headers))
            headers = http.client.parse_headers(BytesIO(b"Content-Type: application/json\r\n\r\n"))
            headers["Content-Length"] = str(len(body))
            rest = iter([body])
        elif kind == "load":
            rest = read_archive(stream, headers)
            headers = http.client.parse_headers(BytesIO(b"Content-Type: application/x-tar\r\n\r\n"))
            headers["Transfer-Encoding"] = "chunked"
        elif kind == "container":
            if not is_models(self._inspect(container)):
                raise Refused(f"{method} {target}: not a model's container")
        elif kind != "plain":
            raise Refused(f"{method} {target}: not something that starting models needs")
        return written_head(method, target, headers), rest

    def _container(self, target: str, body: bytes) -> bytes:
        names = parse_qs(urlsplit(target).query).get("name", [])
        try:
            asked = json.loads(body)
        except ValueError:
            raise Refused("the container's description is not JSON") from None
        why = refusal_of_container(asked, self.server.network) if isinstance(asked, dict) else "it is no object"
        if not why and not (len(names) == 1 and is_instance(names[0])):
            why = "its name is not a model instance's"
        if why:
            raise Refused(f"a container is not made: {why}")
        return json.dumps(asked).encode()

    def _inspect(self, container: str) -> Any:
        connection = http.client.HTTPConnection("engine")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.server.engine)
        try:
            connection.request("GET", f"/containers/{container}/json")
            found = connection.getresponse()
            if found.status == 404:
                raise Refused(f"No such container: {container}")
            return json.load(found)
        finally:
            connection.close()


def read_head(stream: BinaryIO) -> tuple[str, str, http.client.HTTPMessage]:
    """Return method, target and headers. Raises Refused."""
    words = stream.readline(MAX_HEAD).decode("latin-1").split()
    if len(words) != 3 or words[2] != "HTTP/1.1":
        raise Refused("not a request")
    try:
        return words[0], words[1], http.client.parse_headers(stream)
    except http.client.HTTPException:
        raise Refused("its headers are too many or too long") from None


def read_body(stream: BinaryIO, headers: http.client.HTTPMessage) -> bytes:
    """Return a body of known length. Raises Refused."""
    length = headers.get("Content-Length", "")
    if not length.isdigit() or int(length) > MAX_BODY or headers.get("Transfer-Encoding"):
        raise Refused(f"a description of {length or 'unknown'} bytes")
    return stream.read(int(length))


def read_archive(stream: BinaryIO, headers: http.client.HTTPMessage) -> Iterator[bytes]:
    """Return an archive's bytes in chunks, as far as they are judged; the engine gets no last chunk of a refused one.

    Raises Refused, now or while they are taken.
    """
    if headers.get_all("Transfer-Encoding") != ["chunked"] or headers.get("Content-Length"):
        raise Refused("an archive that does not come in chunks")
    return _judged_archive(BufferedReader(Chunked(stream), CHUNK))


def _judged_archive(archive: BufferedReader) -> Iterator[bytes]:
    try:
        yield from in_chunks(looked_at(archive))
    except (NotOurs, OSError) as reason:
        raise Refused(f"an archive is not loaded: {reason}") from None


def rest_of(stream: BinaryIO) -> Iterator[bytes]:
    """Return what else the client sends."""
    while part := stream.read1(CHUNK):  # type: ignore[attr-defined]
        yield part


def written_head(method: str, target: str, headers: http.client.HTTPMessage) -> bytes:
    """Return the request's head as the engine gets it: our own words, and a connection that ends after it."""
    lines = [f"{method} {target} HTTP/1.1", "Host: engine", "Connection: close"]
    for name in PASSED_ON:
        given = headers.get_all(name) or []
        if len(given) > 1:
            raise Refused(f"{name} twice")
        lines += [f"{name}: {value}" for value in given]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def exchange(client: socket.socket, parts: Iterator[bytes], engine: socket.socket) -> None:
    """Carry the rest of the request to the engine, and its answer back until it closes; or why the rest is refused."""
    refusals: list[bytes] = []
    threading.Thread(target=_send, args=(parts, engine, refusals), daemon=True).start()
    answered = False
    with suppress(OSError):
        while part := engine.recv(CHUNK):
            client.sendall(part)
            answered = True
    with suppress(OSError):
        if refusals and not answered:
            client.sendall(refusals[0])
        client.shutdown(socket.SHUT_RDWR)


def _send(parts: Iterator[bytes], engine: socket.socket, refusals: list[bytes]) -> None:
    with suppress(OSError, ValueError):
        try:
            for part in parts:
                engine.sendall(part)
        except Refused as reason:
            refusals.append(answer_of(reason))
            engine.shutdown(socket.SHUT_RDWR)


def answer_of(reason: Refused) -> bytes:
    """Log a refusal, and return the answer that says so."""
    log.warning("refused: %s", reason)
    return answer(403, str(reason))


def answer(status: int, message: str) -> bytes:
    """Return a whole answer as the engine's own errors look."""
    body = json.dumps({"message": message}).encode()
    head = f"HTTP/1.1 {status} Forbidden\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body


def main() -> int:
    """Serve until ended."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    engine, path, network = sys.argv[1:]
    os.umask(0o077)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Guard(engine, Path(path), network) as guard:
        log.info("models may be started in the network %s", network)
        guard.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
