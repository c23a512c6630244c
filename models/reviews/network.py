"""One weight for each feature and one bias: a review's weighted words in, the log-odds of "positive" out."""

from __future__ import annotations

from pathlib import Path

import torch
from features import Bags
from safetensors.torch import load_file, save_file
from torch import nn

FILE = "model.safetensors"
LABELS = ("negative", "positive")


class Network(nn.Module):
    """Bags of n texts to log-odds [n]. `weight` [features] and `bias` [] begin as zeros."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(features))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, bags: Bags) -> torch.Tensor:
        return self.sums(bags) + self.bias

    def sums(self, bags: Bags) -> torch.Tensor:
        """Return the weighted sums [n], without the bias."""
        return torch.zeros(bags.size).index_add(0, bags.text, self.weight[bags.row] * bags.value)

    def save(self, folder: Path) -> None:
        """Write the weights in half precision."""
        save_file({name: value.half() for name, value in self.state_dict().items()}, folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> Network:
        """Read what `save` wrote, ready to predict."""
        state = {name: value.float() for name, value in load_file(folder / FILE).items()}
        network = cls(len(state["weight"]))
        network.load_state_dict(state)
        return network.eval()

    @torch.inference_mode()
    def probabilities(self, bags: Bags) -> torch.Tensor:
        """Return the probabilities of negative and positive [n, 2]; each row adds up to 1."""
        positive = self(bags).double().sigmoid()
        return torch.stack([1 - positive, positive], dim=1)
