"""The verbs: what the image does with a request."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from features import Vocabulary, words
from network import LABELS, Network
from pydantic import Field

from sacristy.serving import Classification, Contribution, InstanceRefused, Model

Text = Annotated[str, Field(min_length=1, max_length=10_000, description="a review in English")]


class Reviews(Model):
    instance = Text
    prediction = Classification

    def load(self, folder: Path) -> None:
        self.vocabulary = Vocabulary.load(folder)
        self.network = Network.load(folder)

    def decode(self, instance: str) -> str:
        if not any(word[0] not in "!?" for word in words(instance)):
            raise InstanceRefused(expected="a text with at least one word")
        return instance

    def predict(self, inputs: list[str]) -> list[list[float]]:
        return self.network.probabilities(self.vocabulary.apply(inputs)).tolist()

    def encode(self, output: list[float]) -> Classification:
        probabilities = dict(zip(LABELS, output, strict=True))
        return Classification(label=max(probabilities, key=probabilities.__getitem__), probabilities=probabilities)

    def explain(self, inputs: list[str]) -> list[list[Contribution]]:
        """Return what each word adds to the log-odds of "positive"; with the bias they add up to the log-odds."""
        weights = self.network.weight.detach().numpy().astype(float)
        found = self.vocabulary.contributions(inputs, weights)
        return [[Contribution(feature=word, contribution=value) for word, value in one.items()] for one in found]
