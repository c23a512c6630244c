"""What every target offers: instances of images, started, asked and stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sacristy.images.image import Image

__all__ = ["Image", "Instance", "Progress", "Served", "Target"]

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Instance:
    """A started image. `name` is unique on its target; `url` answers HTTP; `started` on the monotonic clock, s.

    `idle_s`: after so many seconds in which nobody asked it may be put to sleep; 0: never.
    """

    name: str
    image: Image
    url: str
    target: str
    started: float = field(default_factory=time.monotonic)
    idle_s: float = 0.0


@dataclass(frozen=True)
class Served:
    """What is to serve a stage: an instance by name, and the image in it."""

    instance: str
    image: Image
    stage: str


class Target(Protocol):
    """Where images run. The methods with a body are for targets that have nothing to add to them."""

    name: str
    keeps_stages: bool = False  # whether it has one thing for each stage, whatever its version, that can be put right

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

    def settle(self, instance: Instance, *, in_use: bool = False) -> Instance:
        """Let an instance that answered well serve its stage, and return what serves then; often the same.

        `in_use`: it gets requests meanwhile, so it is not ended. Raises RolloutFailed where that takes a rollout of
        its own; what served before serves on.
        """
        return instance

    def rest(self, name: str, *, asleep: bool) -> None:
        """Put a stage's instance to sleep, or wake it, without waiting for that. Only where instances have `idle_s`."""
        return

    def is_asleep(self, name: str) -> bool:
        """Say whether an instance was put to sleep: it does not run, and nothing is wrong."""
        return False

    def detail(self, name: str) -> str:
        """Return in a line what people should know of an instance beyond whether it answers."""
        return ""

    def found(self, model: str, stage: str) -> Instance | None:
        """Return what serves a stage as far as the target itself remembers that, for all machines."""
        return None

    def faults(self, served: Sequence[Served]) -> dict[str, str]:
        """Return what is wrong with which instances, by name; those that are well are left out."""
        return {each.instance: "it does not run" for each in served if not self.is_running(each.instance)}
