"""How answers are scored against held-out targets, and how one score compares with another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sacristy.model_file import LOWER_IS_BETTER, Metric


def score(metric: Metric, predictions: Sequence[Any], targets: Sequence[Any]) -> float:
    """Return the metric over predictions and targets of equal length, at least one."""
    return _METRICS[metric]([answer_value(prediction) for prediction in predictions], targets)


def reaches(metric: Metric, found: float, limit: float, margin: float = 0.0) -> bool:
    """Say whether a score is at least as good as a limit, or worse by no more than a margin. NaN never is."""
    if math.isnan(found):
        return False
    return found <= limit + margin if metric in LOWER_IS_BETTER else found >= limit - margin


def answer_value(prediction: Any) -> Any:
    """Return what is compared with the target: a classifier's label, or the prediction itself."""
    return prediction.get("label", prediction.get("value")) if isinstance(prediction, dict) else prediction


def accuracy(predictions: Sequence[Any], targets: Sequence[Any]) -> float:
    """Return the share of predictions equal to their target."""
    return sum(bool(a == b) for a, b in zip(predictions, targets, strict=True)) / len(targets)


def macro_f1(predictions: Sequence[Any], targets: Sequence[Any]) -> float:
    """Return the mean over the targets' classes of the harmonic mean of precision and recall."""
    pairs = list(zip(predictions, targets, strict=True))
    scores: list[float] = []
    for label in sorted(set(targets), key=str):
        right = sum(bool(a == b == label) for a, b in pairs)
        named = sum(bool(a == label) + bool(b == label) for a, b in pairs)
        scores.append(2 * right / named)
    return sum(scores) / len(scores)


def mean_absolute_error(predictions: Sequence[Any], targets: Sequence[Any]) -> float:
    """Return the mean distance between prediction and target."""
    return sum(abs(float(a) - float(b)) for a, b in zip(predictions, targets, strict=True)) / len(targets)


_METRICS = {"accuracy": accuracy, "macro_f1": macro_f1, "mean_absolute_error": mean_absolute_error}
