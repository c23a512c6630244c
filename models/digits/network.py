"""A small convolutional network: 8 by 8 pixels in, ten scores out."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

FILE = "model.safetensors"
LABELS = tuple("0123456789")


class Network(nn.Sequential):
    """[n, 1, 8, 8] to scores [n, 10]."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 24, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(24, 48, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(48 * 4 * 4, len(LABELS)),
        )

    def save(self, folder: Path) -> None:
        """Write the weights."""
        save_file(self.state_dict(), folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> Network:
        """Read what `save` wrote, ready to predict."""
        network = cls()
        network.load_state_dict(load_file(folder / FILE))
        return network.eval()

    @torch.inference_mode()
    def probabilities(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the labels' probabilities [n, 10]; each row adds up to 1."""
        return self(inputs).double().softmax(dim=1)
