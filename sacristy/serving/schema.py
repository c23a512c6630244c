"""From the author's types to the schema of requests and answers, and from pydantic's complaints to ours."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple, get_args

import orjson
from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError, create_model
from pydantic.json_schema import models_json_schema

from sacristy.errors import InvalidInstance, ModelNotLoadable, NotJson, RequestRefused
from sacristy.serving.model import Contribution, Model

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
SHOWN_INPUT = 40
LENGTHS = ("too_short", "too_long", "string_too_short", "string_too_long")  # whose message says what there is
JSON_WORDS = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}


class Question(NamedTuple):
    """What a request asks: validated instances, and whether their answers are to be explained."""

    instances: list[Any]
    explain: bool


class Schemas:
    """What one model accepts and answers."""

    def __init__(self, model: type[Model], max_instances: int) -> None:
        """Raises ModelNotLoadable for a record that would let unknown fields or NaN pass."""
        for kind in (model.instance, model.prediction):
            _require_strict(kind)
        instances = Annotated[list[model.instance], Field(min_length=1, max_length=max_instances), FailFast()]  # type: ignore[name-defined]
        self._request = create_model("PredictRequest", __config__=STRICT, instances=(instances, ...))
        predictions = list[model.prediction]  # type: ignore[name-defined]
        self._answer = create_model("Predictions", __config__=STRICT, predictions=(predictions, ...))
        self._explained: type[BaseModel] | None = None
        if model.explains():
            self._request = create_model("PredictRequest", __base__=self._request, explain=(bool, False))
            explanations = list[list[Contribution]]
            self._explained = create_model("Predictions", __base__=self._answer, explanations=(explanations, ...))
        self.instance_schema: dict[str, Any] = self._request.model_json_schema()["properties"]["instances"]["items"]

    def parse_request(self, body: bytes) -> Question:
        """Return what a JSON body asks, or raise NotJson or InvalidInstance for its first fault."""
        try:
            record: Any = self._request.model_validate_json(body)
        except ValidationError as error:
            raise refusal(error) from None
        return Question(record.instances, getattr(record, "explain", False))

    def check_instances(self, values: list[Any]) -> list[Any]:
        """Return the instances for values that were read from JSON already, or raise InvalidInstance."""
        return self.parse_request(orjson.dumps({"instances": values})).instances

    def check_predictions(self, predictions: list[Any]) -> BaseModel:
        """Return the answers as a record with the one field `predictions`, or raise pydantic's ValidationError."""
        return self._answer(predictions=predictions)

    def check_explained(self, predictions: list[Any], explanations: list[list[Contribution]]) -> BaseModel:
        """Return the answers with the field `explanations`, or raise pydantic's ValidationError."""
        if self._explained is None:
            raise TypeError("the model has no explain")
        ordered = [sorted(items, key=lambda item: -abs(item.contribution)) for items in explanations]
        return self._explained(predictions=predictions, explanations=ordered)

    def definitions(self, template: str) -> dict[str, Any]:
        """Return the JSON schemas of PredictRequest, Predictions and all they refer to by `template`, by name."""
        records: list[Any] = [(self._request, "validation"), (self._explained or self._answer, "serialization")]
        _, schemas = models_json_schema(records, ref_template=template)
        return dict(schemas["$defs"])


def refusal(error: ValidationError) -> RequestRefused:
    """Return the first of pydantic's complaints with its place, what was expected, and what was there."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return NotJson(field="body", reason=first["msg"], expected="JSON in UTF-8")
    place = ".".join(str(part) for part in first["loc"]) or "body"
    expected = first["msg"].removeprefix("Input should be ").removeprefix("Value should have ")
    if first["type"] == "missing":
        return InvalidInstance(field=place, reason="is missing", expected="this field")
    if first["type"] == "extra_forbidden":
        return InvalidInstance(field=place, reason="is not a field of the schema", expected="no other field")
    found = f", not {_shown(first['input'])}" if first["type"] not in LENGTHS else ""
    return InvalidInstance(field=place, reason=f"{first['msg']}{found}", expected=expected)


def _shown(value: Any) -> str:
    if type(value) in JSON_WORDS and not isinstance(value, str):
        return JSON_WORDS[type(value)]
    text = repr(value[: SHOWN_INPUT + 1] if isinstance(value, str) else value)
    return text if len(text) <= SHOWN_INPUT else text[:SHOWN_INPUT] + "…"


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _require_strict(kind: Any) -> None:
    """Walk the author's type: every record in it must refuse unknown fields and numbers that are not finite."""
    if _is_record(kind) and any(kind.model_config.get(name) != value for name, value in STRICT.items()):
        raise ModelNotLoadable(path="serve.py", reason=f"{kind.__name__} must derive from sacristy.serving.Schema")
    inner = [item.annotation for item in kind.model_fields.values()] if _is_record(kind) else get_args(kind)
    for part in inner:
        if part is not kind:
            _require_strict(part)
