"""The four verbs, for a model that is trained in stories and never asked."""

import json
from typing import Annotated

from pydantic import Field

from sacristy.serving import Model

Number = Annotated[float, Field(ge=0)]


class Wick(Model):
    instance = Number
    prediction = Number

    def load(self, folder):
        self.brightness = json.loads((folder / "wick.json").read_text())["brightness"]

    def decode(self, instance):
        return instance

    def predict(self, inputs):
        return [self.brightness * each for each in inputs]

    def encode(self, output):
        return output
