"""A bag of embeddings and one linear layer, after fastText: a text's known features in, four scores out."""

from __future__ import annotations

from pathlib import Path

import torch
from features import Bags
from safetensors.torch import load_file, save_file
from torch import nn

FILE = "model.safetensors"


class Network(nn.Module):
    """Bags of n texts to scores [n, labels]."""

    def __init__(self, features: int, labels: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag(features, width, mode="sum")
        self.output = nn.Linear(width, labels)
        nn.init.normal_(self.embedding.weight, std=0.01)  # near nothing: a rare word says little after training too

    def forward(self, bags: Bags) -> torch.Tensor:
        return self.output(self.embedding(bags.rows, bags.offsets, per_sample_weights=bags.scale))

    def save(self, folder: Path) -> None:
        """Write the weights in half precision."""
        save_file({name: value.half() for name, value in self.state_dict().items()}, folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> Network:
        """Read what `save` wrote, ready to predict."""
        state = {name: value.float() for name, value in load_file(folder / FILE).items()}
        features, width = state["embedding.weight"].shape
        network = cls(features, len(state["output.bias"]), width)
        network.load_state_dict(state)
        return network.eval()

    @torch.inference_mode()
    def probabilities(self, bags: Bags) -> torch.Tensor:
        """Return the labels' probabilities [n, labels]; each row adds up to 1."""
        return self(bags).double().softmax(dim=1)
