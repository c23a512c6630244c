"""Counts per minute and hour, which is all that statistics read: ten million predictions are a few thousand of them.

A document of `prediction_counts` is one version's minute or hour; one of `comparisons` is an hour of two versions
that were asked the same. Latencies are kept as sum, sum of squares and a histogram whose bounds grow by a tenth.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote, unquote

from pymongo import UpdateOne

from sacristy.gateway.intervals import Sample
from sacristy.gateway.shadow import Comparison

Span = Literal["minute", "hour"]
SPANS: tuple[Span, ...] = ("minute", "hour")
COUNTS, COMPARISONS = "prediction_counts", "comparisons"
LEAST_MS, GROWTH = 0.1, 1.1
MOST_LABELS = 64  # of one flush; a model with more shares the rest under one name
OTHER_LABELS = "(other)"
LONGEST_LABEL = 80


@dataclass(frozen=True, slots=True)
class Of:
    """Whose counts they are."""

    model: str
    stage: str
    version: str


class Tally:
    """Sums to be added to MongoDB's, by document and field."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self._facts: dict[tuple[str, str], dict[str, Any]] = {}

    def add(self, of: Of, at: datetime, amounts: Mapping[str, float], ms: float | None = None) -> None:
        """Add amounts to a version's minute and hour; with a latency, that too."""
        for span in SPANS:
            start = floor(at, span)
            facts = {"model": of.model, "stage": of.stage, "version": of.version, "span": span, "at": start}
            self._add(COUNTS, f"{of.model}|{of.stage}|{of.version}|{span}|{start:%Y-%m-%dT%H:%M}", facts, amounts)
            if ms is not None:
                self._latency(COUNTS, f"{of.model}|{of.stage}|{of.version}|{span}|{start:%Y-%m-%dT%H:%M}", "", ms)

    def compare(self, found: Comparison, at: datetime) -> None:
        """Add a request that two versions were asked."""
        start = floor(at, "hour")
        question = found.question
        facts = {
            "model": question.model,
            "stage": str(question.stage),
            "kind": str(found.kind),
            "own": found.own.digest,
            "other": found.other.digest,
            "at": start,
        }
        name = "|".join((*(str(value) for value in list(facts.values())[:5]), f"{start:%Y-%m-%dT%H}"))
        amounts = {"n": 1, "own_failed": found.own_failed, "other_failed": found.other_failed}
        self._add(COMPARISONS, name, facts, amounts | {"agreed": found.agreed, "compared": found.compared})
        for whose, seconds, failed in (
            ("own_", found.own_s, found.own_failed),
            ("other_", found.other_s, found.other_failed),
        ):
            if not failed:
                self._latency(COMPARISONS, name, whose, seconds * 1000)

    def operations(self) -> dict[str, list[UpdateOne]]:
        """Return what adds the sums, by collection."""
        made: dict[str, list[UpdateOne]] = defaultdict(list)
        for (collection, name), sums in self._sums.items():
            change = {"$inc": dict(sums), "$setOnInsert": self._facts[collection, name]}
            made[collection].append(UpdateOne({"_id": name}, change, upsert=True))
        return dict(made)

    def _add(self, collection: str, name: str, facts: dict[str, Any], amounts: Mapping[str, float]) -> None:
        self._facts[collection, name] = facts
        sums = self._sums[collection, name]
        for field, amount in amounts.items():
            if amount:
                sums[field] += int(amount) if float(amount).is_integer() else amount

    def _latency(self, collection: str, name: str, whose: str, ms: float) -> None:
        sums = self._sums[collection, name]
        sums[f"{whose}timed"] += 1
        sums[f"{whose}ms"] += ms
        sums[f"{whose}ms2"] += ms * ms
        sums[f"{whose}h.{bucket(ms)}"] += 1


def floor(at: datetime, span: Span) -> datetime:
    """Return the beginning of the minute or hour."""
    start = at.astimezone(UTC).replace(second=0, microsecond=0)
    return start if span == "minute" else start.replace(minute=0)


def bucket(ms: float) -> int:
    """Return which of the histogram's parts a latency falls into."""
    return max(0, math.ceil(math.log(max(ms, LEAST_MS) / LEAST_MS, GROWTH)))


def percentile(histogram: dict[str, float], share: float) -> float | None:
    """Return the latency below which a share of a histogram lies, in ms, to within a twentieth; None of nothing."""
    total = sum(histogram.values())
    seen = 0.0
    for part in sorted(histogram, key=int):
        seen += histogram[part]
        if seen >= share * total:
            return float(LEAST_MS * GROWTH ** (int(part) - 0.5))
    return None


def sample(document: dict[str, Any], whose: str = "") -> Sample:
    """Return the latencies of a document."""
    return Sample(
        int(document.get(f"{whose}timed", 0)),
        float(document.get(f"{whose}ms", 0.0)),
        float(document.get(f"{whose}ms2", 0.0)),
    )


def field_of(label: str) -> str:
    """Return a label as part of a field's name, which may have no '.' nor begin with '$'."""
    return quote(label[:LONGEST_LABEL], safe=" ").replace(".", "%2E") or "%00"


def label_of_field(field: str) -> str:
    """Return the label that a field's name stands for."""
    return unquote(field)
