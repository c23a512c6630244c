"""The four verbs: what the image does with a request."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from features import Vocabulary, words
from network import Network
from pydantic import Field

from sacristy.serving import Classification, InstanceRefused, Model

Text = Annotated[str, Field(min_length=1, max_length=10_000, description="a news text in English: title, description")]


class News(Model):
    instance = Text
    prediction = Classification

    def load(self, folder: Path) -> None:
        self.vocabulary = Vocabulary.load(folder)
        self.network = Network.load(folder)

    def decode(self, instance: str) -> str:
        if not words(instance):
            raise InstanceRefused(expected="a text with at least one word")
        return instance

    def predict(self, inputs: list[str]) -> list[list[float]]:
        return self.network.probabilities(self.vocabulary.apply(inputs)).tolist()

    def encode(self, output: list[float]) -> Classification:
        probabilities = dict(zip(self.vocabulary.labels, output, strict=True))
        return Classification(label=max(probabilities, key=probabilities.__getitem__), probabilities=probabilities)
