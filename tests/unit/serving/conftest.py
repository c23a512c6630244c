"""An app folder with a tiny pure-Python model, and Flask's test client for it."""

import json
import shutil

import pytest

from sacristy.serving.app import create_app

SERVE = """
from typing import Annotated
from pydantic import Field
from sacristy.serving import Classification, InstanceRefused, Model

class Tiny(Model):
    instance = Annotated[list[Annotated[float, Field(ge=0, le=16)]], Field(min_length=2, max_length=2)]
    prediction = Classification

    def load(self, folder):
        self.folder = folder

    def decode(self, instance):
        if instance[0] == 5:
            raise InstanceRefused(expected="a first number that is not 5")
        return instance

    def predict(self, inputs):
        if inputs[0][0] == 2:
            raise RuntimeError("secret of the model")
        return inputs[1:] if inputs[0][0] == 6 else inputs

    def encode(self, output):
        high = float("nan") if output[0] == 7 else output[1] / 16
        return Classification(label="high" if high > 0.5 else "low", probabilities={"low": 1 - high, "high": high})
"""
TEXT = """
from sacristy.serving import Model, Schema

class Length(Schema):
    letters: int

class Text(Model):
    instance = str
    prediction = Length

    def load(self, folder): pass
    def decode(self, instance): return instance
    def predict(self, inputs): return [len(text) for text in inputs]
    def encode(self, output): return Length(letters=output)
"""
GOLDEN = [{"instance": [0, 16], "prediction": {"label": "high", "probabilities": {"low": 0.0, "high": 1.0}}}]
LIMITS = "[serving]\nmax_instances = 4\nmax_body_kib = 4\n"


EXPLAIN = """
    def explain(self, inputs):
        if inputs[0][0] == 8:
            return []
        high = float("nan") if inputs[0][0] == 9 else 1.0
        pairs = [("none", 0.0), ("first", -inputs[0][0]), ("second", high * inputs[0][1])]
        return [[Contribution(feature=name, contribution=value) for name, value in pairs] for _ in inputs]
"""


def fill(folder):
    """Write what an image's app folder holds."""
    for name in ("model", "weights"):
        (folder / name).mkdir()
    (folder / "model" / "serve.py").write_text(SERVE)
    (folder / "model" / "model.toml").write_text(LIMITS)
    (folder / "weights" / "golden.json").write_text(json.dumps(GOLDEN))
    (folder / "baseline.json").write_text(json.dumps({"schema": 1, "model": "tiny", "version": "7.1", "run": 7}))
    return folder


@pytest.fixture
def app_folder(tmp_path):
    return fill(tmp_path)


@pytest.fixture
def client(app_folder):
    return create_app(app_folder).test_client()


@pytest.fixture
def explaining_client(app_folder, tmp_path_factory):
    folder = shutil.copytree(app_folder, tmp_path_factory.mktemp("explaining") / "app")
    code = SERVE.replace("import Classification,", "import Classification, Contribution,") + EXPLAIN
    (folder / "model" / "serve.py").write_text(code)
    return create_app(folder).test_client()


@pytest.fixture(scope="session")
def text_client(tmp_path_factory):
    """A client of a model for texts; it answers the same for ever, so there is one for all tests."""
    folder = fill(tmp_path_factory.mktemp("texts"))
    (folder / "model" / "serve.py").write_text(TEXT)
    golden = [{"instance": "abc", "prediction": {"letters": 3}}]
    (folder / "weights" / "golden.json").write_text(json.dumps(golden))
    return create_app(folder).test_client()
