"""How supervisord is asked: XML-RPC over its unix socket."""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
import tempfile
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SOCKET_PATH_LIMIT = 100  # the kernel's is 107, and supervisord adds its pid while it binds
BAD_NAME, ALREADY_STARTED, NOT_RUNNING, ALREADY_ADDED, STILL_RUNNING = 10, 60, 70, 90, 91  # supervisor.xmlrpc.Faults
UNREACHABLE = (OSError, http.client.HTTPException, xmlrpc.client.Error)


def socket_path(folder: Path) -> Path:
    """Return the supervisor's socket: in `folder`, or where that path is too long in a private temporary folder."""
    path = folder / "supervisor.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
        return path
    short = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"sacristy-{os.getuid()}-{short}" / "supervisor.sock"


def listens(path: Path) -> bool:
    """Say whether somebody is behind the socket; one who hangs is, and must not be taken for one who is gone."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:
            return True
        return True


@contextmanager
def functions(path: Path, timeout_s: float) -> Iterator[Any]:
    """Give supervisord's own functions (supervisord.org/api.html). Raises one of UNREACHABLE, also for a Fault."""
    with xmlrpc.client.ServerProxy("http://supervisor", _SocketTransport(path, timeout_s)) as proxy:
        yield proxy.supervisor


@contextmanager
def accepting(*codes: int) -> Iterator[None]:
    """Take these refusals of supervisord as done."""
    try:
        yield
    except xmlrpc.client.Fault as fault:
        if fault.faultCode not in codes:
            raise


class _SocketTransport(xmlrpc.client.Transport):
    """HTTP over a unix socket with a time-out; the transport that comes with supervisor would wait for ever."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__()
        self._path, self._timeout_s = str(path), timeout_s

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        if self._connection and self._connection[1]:
            return self._connection[1]
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.settimeout(self._timeout_s)
        try:
            stream.connect(self._path)
        except OSError:
            stream.close()
            raise
        connection = http.client.HTTPConnection("localhost", timeout=self._timeout_s)
        connection.sock = stream
        self._connection = host, connection  # the parent class closes it
        return connection
