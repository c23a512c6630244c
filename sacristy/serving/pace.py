"""A client's pace: whoever sends a request one byte after another does not keep a thread for hours.

Each wait for a client has its limit already (worker.py); this is one for the whole request, which grows with what came.
"""

from __future__ import annotations

import errno
import math
import time
from typing import Any

from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import SocketUnreader

GRACE_S = 20.0  # how long a request may be behind the pace
SLOWEST = 1024  # bytes a second


class PacedUnreader(SocketUnreader):  # type: ignore[misc]
    """Reads requests from a connection. Raises BlockingIOError for one that comes too slowly, as a long wait does."""

    def __init__(self, source: Any) -> None:
        super().__init__(source)
        self.begin()

    def begin(self) -> None:
        """Count from the next byte on: another request may come."""
        self._until = math.inf

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return what came."""
        piece: bytes = super().chunk(size_hint)
        now = time.monotonic()
        self._until = min(self._until, now + GRACE_S) + len(piece) / SLOWEST
        if now > self._until:
            raise BlockingIOError(errno.EAGAIN, f"a request slower than {SLOWEST} bytes a second")
        return piece


def paced_parser(cfg: Any, source: Any, client: Any) -> RequestParser:
    """Return what parses a connection's requests, with a pace."""
    parser = RequestParser(cfg, source, client)
    parser.unreader = PacedUnreader(source)
    return parser
