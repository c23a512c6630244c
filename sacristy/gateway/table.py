"""The routes as the gateway sees them: always the newest good table."""

from __future__ import annotations

import logging
from pathlib import Path

from sacristy.errors import StateDamaged
from sacristy.targets.routes import Routes, read_routes

log = logging.getLogger(__name__)


class RouteTable:
    """Reads the routes file again when it has changed, which costs one stat for each request (about 2 us)."""

    def __init__(self, path: Path) -> None:
        """Nothing is read yet."""
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._routes: Routes = {}

    def routes(self) -> Routes:
        """Return routes[model][stage]. A file that cannot be read leaves the last good table in force."""
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
