"""The four verbs: what the image does with a request."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from features import INK, PIXELS, Scaling
from network import LABELS, Network
from pydantic import Field

from sacristy.serving import Classification, Model

Pixel = Annotated[float, Field(ge=0, le=INK)]
Picture = Annotated[list[Pixel], Field(min_length=PIXELS, max_length=PIXELS)]


class Digits(Model):
    instance = Picture
    prediction = Classification

    def load(self, folder: Path) -> None:
        self.scaling = Scaling.load(folder)
        self.network = Network.load(folder)

    def decode(self, instance: list[float]) -> list[float]:
        return instance

    def predict(self, inputs: list[list[float]]) -> list[list[float]]:
        return self.network.probabilities(self.scaling.apply(inputs)).tolist()

    def encode(self, output: list[float]) -> Classification:
        probabilities = dict(zip(LABELS, output, strict=True))
        return Classification(label=max(probabilities, key=probabilities.__getitem__), probabilities=probabilities)
