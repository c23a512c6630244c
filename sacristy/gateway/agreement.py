"""Whether two versions said the same."""

from __future__ import annotations

from typing import Any

import orjson

from sacristy.serving.golden import difference

TOLERANCE = 1e-3  # of numbers that are no probabilities beside a label


def predictions_in(body: bytes) -> list[Any] | None:
    """Return the predictions of an answer, of /predict or of the inference protocol; None where there are none."""
    try:
        answer = orjson.loads(body)
        found = answer["predictions"] if "predictions" in answer else _of_tensors(answer["outputs"])
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
        return None
    return found if isinstance(found, list) else None


def label_of(prediction: Any) -> str | None:
    """Return the label of a classification, or of a plain text answer; None where there is none."""
    label = prediction.get("label") if isinstance(prediction, dict) else prediction
    return label if isinstance(label, str) else None


def agree(one: list[Any], other: list[Any]) -> tuple[int, int]:
    """Return how many of the predictions say the same, and how many there are: labels, or numbers within TOLERANCE."""
    pairs = list(zip(one, other, strict=False))
    return sum(_same(*pair) for pair in pairs), max(len(one), len(other))


def _of_tensors(outputs: list[Any]) -> Any:
    """Return the labels of a classification, or the values of the first output."""
    named = {output["name"]: output["data"] for output in outputs}
    return [{"label": label} for label in named["label"]] if "label" in named else outputs[0]["data"]


def _same(one: Any, other: Any) -> bool:
    labels = label_of(one), label_of(other)
    if labels != (None, None):
        return labels[0] == labels[1]
    return difference(one, other, TOLERANCE) == ""
