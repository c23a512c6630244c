"""The four verbs."""

import json
import math
from typing import Annotated

from pydantic import Field

from sacristy.serving import Classification, Model

Pixel = Annotated[float, Field(ge=0, le=16)]


class Lamp(Model):
    instance = Annotated[list[Pixel], Field(min_length=64, max_length=64)]
    prediction = Classification

    def load(self, folder):
        facts = json.loads((folder / "means.json").read_text())
        self.means, self.sharpness = facts["means"], facts["sharpness"]

    def decode(self, instance):
        return instance

    def predict(self, inputs):
        return [self.shares(picture) for picture in inputs]

    def encode(self, output):
        probabilities = {str(label): share for label, share in enumerate(output)}
        return Classification(label=max(probabilities, key=probabilities.__getitem__), probabilities=probabilities)

    def shares(self, picture):
        distances = [math.dist(picture, mean) for mean in self.means]
        nearest = min(distances)
        heights = [math.exp(self.sharpness * (nearest - distance)) for distance in distances]
        return [height / sum(heights) for height in heights]
