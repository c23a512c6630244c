"""What every target offers: instances of images, started, asked and stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from sacristy.images.image import Image

__all__ = ["Image", "Instance", "Progress", "Target"]

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Instance:
    """A started image. `name` is unique on its target; `url` answers HTTP; `started` on the monotonic clock, s."""

    name: str
    image: Image
    url: str
    target: str
    started: float = field(default_factory=time.monotonic)


class Target(Protocol):
    """Where images run."""

    name: str

    def start(self, image: Image, purpose: str) -> Instance:
        """Start an image for a purpose (`production`, `trial`, ...), kept alive until stopped.

        Returns without waiting for readiness. Raises what unpacking or starting raises; nothing is left then.
        """

    def is_running(self, name: str) -> bool:
        """Say whether the instance's process is alive and has not been restarted since it was started here."""

    def peak_memory_mib(self, name: str) -> float:
        """Return the most resident memory that all of its processes had together so far, in MiB; 0: none runs."""

    def log_tail(self, name: str, lines: int = 20) -> list[str]:
        """Return the last lines that the instance printed."""

    def stop(self, name: str) -> None:
        """Stop it gracefully (requests in flight end) and remove its traces. Stopping twice is fine."""

    def instances(self) -> list[str]:
        """Return the names of all instances on this target."""
