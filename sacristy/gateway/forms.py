"""How a person gives a model an instance: chosen from the model's own schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DRAWN_SIDE = 8  # the one picture size that the page knows how to draw
DEEPEST_REFERENCE = 8


@dataclass(frozen=True)
class Form:
    """`kind`: drawing, text or json. `greatest`: the greatest value of a drawing's cell. `longest`: of a text."""

    kind: str
    greatest: float = 1.0
    longest: int = 0


def choose_form(document: dict[str, Any]) -> Form:
    """Return the form for a model from its OpenAPI document; what it does not know becomes a box for JSON."""
    schema = instance_schema(document)
    items = schema.get("items", {})
    if schema.get("type") == "string":
        return Form("text", longest=int(schema.get("maxLength", 0)))
    side = DRAWN_SIDE * DRAWN_SIDE
    is_picture = schema.get("minItems") == schema.get("maxItems") == side and items.get("type") in ("number", "integer")
    if schema.get("type") == "array" and is_picture:
        return Form("drawing", greatest=float(items.get("maximum", 1.0)))
    return Form("json")


def instance_schema(document: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of one instance, references followed; empty where the document has none."""
    schemas = document.get("components", {}).get("schemas", {})
    found: Any = schemas.get("PredictRequest", {}).get("properties", {}).get("instances", {}).get("items", {})
    for _ in range(DEEPEST_REFERENCE):
        if not isinstance(found, dict) or "$ref" not in found:
            break
        found = schemas.get(str(found["$ref"]).rpartition("/")[2], {})
    return found if isinstance(found, dict) else {}
