"""Requests for a stage that sleeps: held until it is awake, but only so many, and only for so long.

Each held request keeps a thread of the gateway, of which stages that are awake must be left some.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sacristy.errors import NoRoomToWait, StillAsleep
from sacristy.gateway.upstream import is_ready
from sacristy.names import Stage

LOOK_S = 0.25
COME_BACK_S = 5


class WaitingRoom:
    """The seats of one process, for all stages. `patience_s`: for how long a request is held."""

    def __init__(self, seats: int, patience_s: float, look: Callable[[str], bool] = is_ready) -> None:
        self.seats, self.patience_s, self._look = seats, patience_s, look
        self.taken = 0
        self._lock = threading.Lock()

    def wait(self, model: str, stage: Stage, url: Callable[[], str], call: Callable[[], None]) -> None:
        """Wait until the instance at a stage's address is ready. `call`: says that somebody waits, at each look.

        Raises NoRoomToWait at once, or StillAsleep.
        """
        with self._seat(model, stage):
            deadline = time.monotonic() + self.patience_s
            while True:
                call()
                if self._look(url()):
                    return
                if time.monotonic() + LOOK_S > deadline:
                    raise StillAsleep(
                        model=model, stage=stage, held_s=f"{self.patience_s:g}", retry_after_s=COME_BACK_S
                    )
                time.sleep(LOOK_S)

    @contextmanager
    def _seat(self, model: str, stage: Stage) -> Iterator[None]:
        with self._lock:
            if self.taken >= self.seats:
                raise NoRoomToWait(model=model, stage=stage, held=self.taken, retry_after_s=COME_BACK_S)
            self.taken += 1
        try:
            yield
        finally:
            with self._lock:
                self.taken -= 1
