"""Between the tensors of the Open Inference Protocol and the instances and answers of /predict.

One input tensor holds all instances, its first dimension counts them: numbers for lists of numbers, BYTES for
strings. A model with another instance takes BYTES too, each element the JSON of one instance. A classifier answers
with `label` and `probabilities`; another model with BYTES, each element the JSON of one answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, Field, NonNegativeInt

from sacristy.errors import InvalidInstance
from sacristy.serving.model import Classification, Schema

NUMBERS = ("FP64", "FP32", "INT64")
INPUT = "instances"


class InputTensor(Schema):
    """One tensor of a request; `data` in row-major order, flat or nested."""

    name: str
    shape: Annotated[list[NonNegativeInt], Field(min_length=1, max_length=8)]
    datatype: Literal["FP32", "FP64", "INT64", "BYTES"]
    parameters: dict[str, Any] = Field(default_factory=dict)
    data: list[Any]


class OutputName(Schema):
    """An output that the client asks for."""

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)


class InferRequest(Schema):
    """The body of an inference request. Parameters are accepted and have no effect."""

    id: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    inputs: Annotated[list[InputTensor], Field(min_length=1, max_length=1)]
    outputs: list[OutputName] = Field(default_factory=list)


@dataclass(frozen=True)
class InputKind:
    """How instances are carried: `numbers` of a shape, `text`, or `json`."""

    carries: Literal["numbers", "text", "json"]
    shape: tuple[int, ...] = ()

    @property
    def metadata(self) -> dict[str, Any]:
        """The input's entry in the model's metadata; -1 means any length."""
        datatype = "FP64" if self.carries == "numbers" else "BYTES"
        return {"name": INPUT, "datatype": datatype, "shape": [-1, *self.shape]}


def input_kind(schema: dict[str, Any]) -> InputKind:
    """Say from an instance's JSON schema how tensors carry it."""
    if schema.get("type") == "string":
        return InputKind("text")
    shape = []
    while schema.get("type") == "array":
        fixed = schema.get("minItems") == schema.get("maxItems")
        shape.append(schema.get("minItems", -1) if fixed else -1)
        schema = schema.get("items", {})
    return InputKind("numbers", tuple(shape)) if schema.get("type") in ("number", "integer") else InputKind("json")


def to_instances(tensor: InputTensor, kind: InputKind) -> list[Any]:
    """Return the instances, not yet validated. Raises InvalidInstance where data, shape and datatype disagree."""
    allowed = NUMBERS if kind.carries == "numbers" else ("BYTES",)
    if tensor.datatype not in allowed:
        raise _wrong("datatype", f"is {tensor.datatype}", " or ".join(allowed))
    flat = _flatten(tensor.data)
    count = math.prod(tensor.shape)
    if len(flat) != count:
        raise _wrong("data", f"has {len(flat)} values", f"{count} values for the shape {tensor.shape}")
    if kind.carries == "numbers":
        rest = tensor.shape[1:] if kind.shape else []
        return _reshape(flat, rest)
    for place, value in enumerate(flat):
        if not isinstance(value, str):
            raise _wrong(f"data.{place}", "is not a string", "a string")
    return flat if kind.carries == "text" else [_parse(place, text) for place, text in enumerate(flat)]


def to_tensors(prediction: Any, predictions: list[Any]) -> list[dict[str, Any]]:
    """Return the output tensors for checked answers."""
    count = len(predictions)
    if not _is_classification(prediction):
        texts = [orjson.dumps(_plain(answer)).decode() for answer in predictions]
        return [{"name": "prediction", "datatype": "BYTES", "shape": [count], "data": texts}]
    classes = list(predictions[0].probabilities)
    return [
        {"name": "label", "datatype": "BYTES", "shape": [count], "data": [answer.label for answer in predictions]},
        {
            "name": "probabilities",
            "datatype": "FP64",
            "shape": [count, len(classes)],
            "parameters": {"classes": orjson.dumps(classes).decode()},
            "data": [answer.probabilities[name] for answer in predictions for name in classes],
        },
    ]


def output_metadata(prediction: Any) -> list[dict[str, Any]]:
    """Return the outputs' entries in the model's metadata."""
    if not _is_classification(prediction):
        return [{"name": "prediction", "datatype": "BYTES", "shape": [-1]}]
    label = {"name": "label", "datatype": "BYTES", "shape": [-1]}
    return [label, {"name": "probabilities", "datatype": "FP64", "shape": [-1, -1]}]


def select(tensors: list[dict[str, Any]], asked: list[OutputName]) -> list[dict[str, Any]]:
    """Return the tensors that were asked for, all if none was, or raise InvalidInstance."""
    known = {tensor["name"]: tensor for tensor in tensors}
    for place, output in enumerate(asked):
        if output.name not in known:
            raise InvalidInstance(
                field=f"outputs.{place}.name", reason=f"there is no output {output.name!r}", expected=" or ".join(known)
            )
    return [known[output.name] for output in asked] or tensors


def _flatten(data: list[Any]) -> list[Any]:
    while any(isinstance(value, list) for value in data):
        if not all(isinstance(value, list) for value in data):
            raise _wrong("data", "mixes values and lists", "values of one depth")
        data = [value for row in data for value in row]
    return data


def _reshape(flat: list[Any], shape: list[int]) -> list[Any]:
    for size in reversed(shape):
        if size == 0:
            raise _wrong("shape", "has an empty dimension", "dimensions of at least 1")
        flat = [flat[start : start + size] for start in range(0, len(flat), size)]
    return flat


def _parse(place: int, text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _wrong(f"data.{place}", f"is not JSON: {error}", "the JSON of one instance") from None


def _plain(answer: Any) -> Any:
    return answer.model_dump(mode="json") if isinstance(answer, BaseModel) else answer


def _is_classification(prediction: Any) -> bool:
    return isinstance(prediction, type) and issubclass(prediction, Classification)


def _wrong(where: str, reason: str, expected: str) -> InvalidInstance:
    return InvalidInstance(field=f"inputs.0.{where}", reason=reason, expected=expected)
