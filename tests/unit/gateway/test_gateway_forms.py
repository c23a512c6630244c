"""Which form a model's page shows."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from sacristy.gateway.forms import LARGEST_SCHEMA, Form, choose_form


def document(items: dict[str, Any], **schemas: Any) -> dict[str, Any]:
    request = {"properties": {"instances": {"type": "array", "items": items}}}
    return {"components": {"schemas": {"PredictRequest": request, **schemas}}}


NUMBERS = {"type": "array", "items": {"type": "number", "maximum": 16}, "minItems": 64, "maxItems": 64}


def test_sixty_four_numbers_are_drawn_up_to_the_schemas_greatest_value() -> None:
    assert choose_form(document(NUMBERS)) == Form("drawing", greatest=16.0)


def test_a_text_gets_a_text_box_with_its_limit() -> None:
    assert choose_form(document({"type": "string", "maxLength": 500})) == Form("text", longest=500)


def test_references_are_followed() -> None:
    assert choose_form(document({"$ref": "#/components/schemas/Picture"}, Picture=NUMBERS)).kind == "drawing"


@pytest.mark.parametrize(
    "strange",
    [
        {},
        document({"type": "object"}),
        document({"$ref": "#/components/schemas/Loop"}, Loop={"$ref": "#/components/schemas/Loop"}),
    ],
)
def test_everything_else_gets_a_box_for_json(strange: dict[str, Any]) -> None:
    assert choose_form(strange).kind == "json"


def test_a_record_gets_a_form_with_its_references_resolved() -> None:
    schema = {"type": "object", "properties": {"at": {"$ref": "#/components/schemas/Place", "title": "Where"}}}
    place = {"type": "object", "properties": {"x": {"type": "number"}}}
    form = choose_form(document(schema, Place=place))
    assert form.kind == "fields"
    assert orjson.loads(form.schema)["properties"]["at"] == place | {"title": "Where"}


@pytest.mark.parametrize(
    "known",
    [
        {"type": "number"},
        {"enum": ["a", "b"]},
        {"type": "array", "items": {"type": "number"}},
        NUMBERS | {"maxItems": 65},
    ],
)
def test_plain_values_choices_and_lists_get_a_form_too(known: dict[str, Any]) -> None:
    assert choose_form(document(known)).kind == "fields"


def test_a_record_that_holds_itself_ends_somewhere() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#/components/schemas/Tree"}}}
    assert len(choose_form(document({"$ref": "#/components/schemas/Tree"}, Tree=tree)).schema) < LARGEST_SCHEMA


def test_it_is_known_whether_a_model_explains() -> None:
    text = document({"type": "string", "description": "a review"})
    assert not choose_form(text).explains
    text["components"]["schemas"]["PredictRequest"]["properties"]["explain"] = {"type": "boolean"}
    assert choose_form(text) == Form("text", explains=True, description="a review")
