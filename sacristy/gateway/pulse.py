"""Tells the operator which stages are asked, as far as they may sleep: from a thread, once a second, by way of MongoDB.

A database that is away costs no request of a stage that is awake; one that sleeps cannot be woken meanwhile.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from pymongo.database import Database
from pymongo.errors import PyMongoError

from sacristy.errors import SacristyError
from sacristy.names import Stage
from sacristy.operator.calls import ask

log = logging.getLogger(__name__)

EVERY_S = 1.0
CLOSING_S = 2.0
Write = Callable[[Database[dict[str, Any]], set[tuple[str, Stage]]], None]


class Pulse:
    """One for each process of the gateway. `database`: opened when first needed."""

    def __init__(self, database: Callable[[], Database[dict[str, Any]]], write: Write = ask) -> None:
        self._database, self._write = database, write
        self._asked: set[tuple[str, Stage]] = set()
        self._lock = threading.Lock()
        self._urgent, self._ending = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def note(self, model: str, stage: Stage, *, urgent: bool = False) -> None:
        """Take note that a stage is asked. `urgent`: somebody waits for it. Never waits, never fails."""
        with self._lock:
            self._asked.add((model, stage))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="pulse", daemon=True)
                self._thread.start()
        if urgent:
            self._urgent.set()

    def close(self) -> None:
        """Tell what was not told yet, for at most CLOSING_S."""
        self._ending.set()
        self._urgent.set()
        if self._thread:
            self._thread.join(CLOSING_S)

    def _work(self) -> None:
        while not self._ending.is_set():
            self._urgent.wait(EVERY_S)
            self._urgent.clear()
            self._tell()

    def _tell(self) -> None:
        with self._lock:
            asked, self._asked = self._asked, set()
        if not asked:
            return
        try:
            self._write(self._database(), asked)
        except (PyMongoError, SacristyError) as error:
            log.warning("the operator cannot be told who is asked: %s", type(error).__name__)
            with self._lock:
                self._asked |= asked
            self._ending.wait(EVERY_S)
