"""The gateway's own way to MongoDB, as the user with the least rights; opened when first needed."""

from __future__ import annotations

import threading
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from sacristy.settings import DATABASE, Role, Settings

TIMEOUT_MS = 2000


class Connection:
    """One client for each worker; pymongo pools its connections and finds the server again by itself."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: MongoClient[dict[str, Any]] | None = None
        self._lock = threading.Lock()

    def client(self) -> MongoClient[dict[str, Any]]:
        """Return the client, which connects in the background. Raises NotInitialised."""
        with self._lock:
            if self._client is None:
                url = self._settings.database_url(Role.GATEWAY, TIMEOUT_MS)
                self._client = MongoClient(
                    url,
                    tz_aware=True,
                    serverSelectionTimeoutMS=TIMEOUT_MS,
                    connectTimeoutMS=TIMEOUT_MS,
                    socketTimeoutMS=10_000,
                    appname="sacristy gateway",
                )
            return self._client

    def database(self) -> Database[dict[str, Any]]:
        """Return the database. Raises NotInitialised."""
        return self.client().get_default_database(DATABASE)
