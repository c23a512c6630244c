"""Circuit breakers: an instance that failed several times in a row is left alone for a moment, then tried once.

Without them every request to a dead instance would hold a thread for all of its tries, and the models that live
would wait for those threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

FAILURES = 8  # in a row; more than the tries of one request
REST_S = 1.0
MOST_INSTANCES = 1024


@dataclass
class _State:
    failures: int = 0
    closed_until: float = 0.0


class Breakers:
    """One for each instance, by its address. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._states: dict[str, _State] = {}
        self._lock = threading.Lock()

    def allows(self, instance: str) -> bool:
        """Say whether an instance may be asked now. While it rests, one request in REST_S goes through as a test."""
        state = self._states.get(instance)
        if state is None or state.failures < FAILURES:
            return True
        with self._lock:
            now = self._clock()
            if now < state.closed_until:
                return False
            state.closed_until = now + REST_S
            return True

    def failed(self, instance: str) -> None:
        """Note that an instance did not answer."""
        with self._lock:
            if len(self._states) >= MOST_INSTANCES:
                self._states.clear()
            state = self._states.setdefault(instance, _State())
            state.failures += 1
            if state.failures == FAILURES:
                state.closed_until = self._clock() + REST_S

    def answered(self, instance: str) -> None:
        """Note that an instance answered."""
        if instance in self._states:
            with self._lock:
                self._states.pop(instance, None)

    def open(self) -> list[str]:
        """Return the instances that rest."""
        with self._lock:
            return sorted(name for name, state in self._states.items() if state.failures >= FAILURES)
