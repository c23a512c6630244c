"""How a person gives a model an instance: chosen from the model's own schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

DRAWN_SIDE = 8  # the one picture size that the page knows how to draw
DEEPEST_REFERENCE = 8
LARGEST_SCHEMA = 64 << 10  # bytes, references resolved: beyond it a box for JSON serves better than a form
PLAIN = ("string", "number", "integer", "boolean")


@dataclass(frozen=True)
class Form:
    """`kind`: drawing, text, fields or json. `greatest`: the greatest value of a drawing's cell. `longest`: of a text.

    `schema`: of fields, as JSON, its references resolved. `explains`: whether answers can be explained.
    """

    kind: str
    greatest: float = 1.0
    longest: int = 0
    schema: str = ""
    explains: bool = False
    description: str = ""


def choose_form(document: dict[str, Any]) -> Form:
    """Return the form for a model from its OpenAPI document; what it does not know becomes a box for JSON."""
    schema = instance_schema(document)
    explains = "explain" in _schemas(document).get("PredictRequest", {}).get("properties", {})
    description = str(schema.get("description", ""))
    items = schema.get("items", {})
    if schema.get("type") == "string" and "enum" not in schema:
        return Form("text", longest=int(schema.get("maxLength", 0)), explains=explains, description=description)
    side = DRAWN_SIDE * DRAWN_SIDE
    is_picture = schema.get("minItems") == schema.get("maxItems") == side and items.get("type") in ("number", "integer")
    if schema.get("type") == "array" and is_picture:
        return Form("drawing", greatest=float(items.get("maximum", 1.0)), explains=explains)
    return Form("fields", schema=_fields(document, schema), explains=explains) if _asks(schema) else Form("json")


def instance_schema(document: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of one instance, references followed; empty where the document has none."""
    found: Any = (
        _schemas(document).get("PredictRequest", {}).get("properties", {}).get("instances", {}).get("items", {})
    )
    for _ in range(DEEPEST_REFERENCE):
        if not isinstance(found, dict) or "$ref" not in found:
            break
        found = _referred(document, found)
    return found if isinstance(found, dict) else {}


def resolved(document: dict[str, Any], schema: Any, depth: int = 0) -> Any:
    """Return a schema with its references replaced by what they point at; what lies too deep is left empty."""
    if isinstance(schema, list):
        return [resolved(document, each, depth) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if depth > DEEPEST_REFERENCE:
        return {}
    if "$ref" in schema:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return resolved(document, _referred(document, schema) | beside, depth + 1)
    return {key: resolved(document, value, depth + (key == "properties")) for key, value in schema.items()}


def _asks(schema: dict[str, Any]) -> bool:
    """Say whether a form can ask for it: a record with fields, a plain value, a choice, a list of known things."""
    known = schema.get("type") in PLAIN or bool(schema.get("properties")) or "enum" in schema
    return known or (schema.get("type") == "array" and "items" in schema)


def _fields(document: dict[str, Any], schema: dict[str, Any]) -> str:
    text = orjson.dumps(resolved(document, schema)).decode()
    return text if len(text) <= LARGEST_SCHEMA else "{}"


def _referred(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    found = _schemas(document).get(str(schema["$ref"]).rpartition("/")[2], {})
    return found if isinstance(found, dict) else {}


def _schemas(document: dict[str, Any]) -> dict[str, Any]:
    found = document.get("components", {}).get("schemas", {})
    return found if isinstance(found, dict) else {}
