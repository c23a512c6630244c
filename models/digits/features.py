"""From pixels to the network's input: the same code and the same constants in training and in serving."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

FILE = "features.json"
SIDE = 8
PIXELS = SIDE * SIDE
INK = 16


@dataclass(frozen=True)
class Scaling:
    """Constants computed on the training part, kept with the weights."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, pictures: Sequence[Sequence[float]]) -> Scaling:
        """Return the mean and standard deviation of all pixels."""
        values = torch.as_tensor(pictures, dtype=torch.float64)
        return cls(values.mean().item(), values.std().item())

    @classmethod
    def load(cls, folder: Path) -> Scaling:
        """Read what `save` wrote."""
        return cls(**json.loads((folder / FILE).read_text()))

    def save(self, folder: Path) -> None:
        """Write the constants as JSON."""
        (folder / FILE).write_text(json.dumps(asdict(self)))

    def apply(self, pictures: Sequence[Sequence[float]]) -> torch.Tensor:
        """Turn n pictures of 64 pixels, row by row, into the network's input [n, 1, 8, 8]."""
        values = torch.as_tensor(pictures, dtype=torch.float32)
        return ((values - self.mean) / self.deviation).reshape(-1, 1, SIDE, SIDE)
