"""An image, as people and the other rooms speak of it."""

from __future__ import annotations

from dataclasses import dataclass

from sacristy.names import Version


@dataclass(frozen=True)
class Image:
    """An image in a model's repository: its digest, and what its labels say of it."""

    model: str
    version: Version
    run: int
    digest: str

    def __str__(self) -> str:
        return f"{self.model}:{self.version}"
