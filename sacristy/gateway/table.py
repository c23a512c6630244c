"""The routes as the gateway sees them: always the newest good table."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from sacristy.errors import StateDamaged
from sacristy.targets.routes import Routes, read_routes

log = logging.getLogger(__name__)


class RouteTable:
    """Reads the routes file again when it has changed.

    `every_s`: how often that is looked at, at most. It must be far below the time for which a former instance is
    left running (operator/deployment.py DRAIN_S).
    """

    def __init__(self, path: Path, every_s: float = 0.0) -> None:
        """Nothing is read yet."""
        self._path, self._every_s = path, every_s
        self._looked = float("-inf")
        self._seen: tuple[int, int, int] | None = None
        self._routes: Routes = {}

    def routes(self, anew: bool = False) -> Routes:
        """Return routes[model][stage]. A file that cannot be read leaves the last good table in force.

        `anew`: look at the file now, however short ago that was done.
        """
        now = time.monotonic()
        if now - self._looked < self._every_s and not anew:
            return self._routes
        self._looked = now
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return self._routes
        state = (found.st_mtime_ns, found.st_size, found.st_ino)
        if state != self._seen:
            self._load()
            self._seen = state
        return self._routes

    def _load(self) -> None:
        try:
            self._routes = read_routes(self._path)
        except (OSError, StateDamaged) as error:
            log.error("%s is not understood (%s); the routes stay as they were", self._path, error)
