"""Which form a model's page shows."""

from __future__ import annotations

from typing import Any

import pytest

from sacristy.gateway.forms import Form, choose_form


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
        document(NUMBERS | {"maxItems": 65}),
        document({"$ref": "#/components/schemas/Loop"}, Loop={"$ref": "#/components/schemas/Loop"}),
    ],
)
def test_everything_else_gets_a_box_for_json(strange: dict[str, Any]) -> None:
    assert choose_form(strange).kind == "json"
