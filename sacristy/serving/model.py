"""The four verbs of a model: load, decode, predict, encode; and a fifth that it may have: explain."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class Schema(BaseModel):
    """A record of a request or an answer: unknown fields, silent conversions, NaN and infinity are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class Classification(Schema):
    """A classifier's answer: the likeliest label, and every label's probability."""

    label: str
    probabilities: dict[str, float]


class Contribution(Schema):
    """What one feature of an instance, such as a word, added to its answer; the model's card says in which unit."""

    feature: str
    contribution: float


class Model(ABC):
    """One served model. `serve.py` holds exactly one subclass, made once in each worker, without arguments.

    `predict` may be called from several threads at once; `load` is called once, before the first of them.
    """

    instance: ClassVar[Any]
    """The type of one instance of a request: anything pydantic can validate, such as `str` or a `Schema`."""

    prediction: ClassVar[Any]
    """The type of one answer, such as `Classification`, `float` or a `Schema`."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Read the weights' files from `folder`. What it raises ends the start with that as its cause."""

    @abstractmethod
    def decode(self, instance: Any) -> Any:
        """Turn one validated instance into the model's input, or raise InstanceRefused(expected="...")."""

    @abstractmethod
    def predict(self, inputs: list[Any]) -> list[Any]:
        """Return one output for each input, in order. There is at least one input."""

    @abstractmethod
    def encode(self, output: Any) -> Any:
        """Turn one output into an answer of the type `prediction`."""

    def explain(self, inputs: list[Any]) -> list[list[Contribution]]:
        """Return each input's contributions, in any order. Optional: a request asks for it by `"explain": true`."""
        raise NotImplementedError

    @classmethod
    def explains(cls) -> bool:
        """Return whether the model defines `explain`."""
        return cls.explain is not Model.explain
