"""Counts per minute and hour, which is all that statistics read: ten million predictions are a few thousand of them.

A document of `prediction_counts` is one version's minute or hour; one of `comparisons` is an hour of two versions
that were asked the same, since one was put beside the other. Latencies are kept as sum, sum of squares and a histogram
whose bounds grow by a tenth.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Container, Mapping
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
MOST_LABELS = 256  # of a version, by one worker; a model with more shares the rest under one name
OTHER_LABELS = "(other)"
LONGEST_LABEL = 80
Sums = dict[str, float]


@dataclass(frozen=True, slots=True)
class Of:
    """Whose counts they are."""

    model: str
    stage: str
    version: str


@dataclass(frozen=True, slots=True)
class Said:
    """An opinion that is kept, and only lacks being counted. `at`: when the prediction was made."""

    of: Of
    at: datetime
    agrees: bool

    @property
    def amounts(self) -> dict[str, float]:
        """What it adds to its version's counts."""
        return {"feedback": 1, "agreed": int(self.agrees)}


class Tally:
    """Sums to be added to MongoDB's, by document and field."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], Sums] = defaultdict(lambda: defaultdict(int))
        self._places: dict[tuple[Of, datetime], list[Sums]] = {}
        self._facts: dict[tuple[str, str], dict[str, Any]] = {}

    def add(self, of: Of, at: datetime, amounts: Mapping[str, float], ms: float | None = None) -> None:
        """Add amounts to a version's minute and hour; with a latency, that too."""
        minute = at.replace(second=0, microsecond=0)
        places = self._places.get((of, minute))
        if places is None:
            places = self._places[of, minute] = [self._place(of, at, span) for span in SPANS]
        for sums in places:
            for field, amount in amounts.items():
                sums[field] += amount
            if ms is not None:
                _add_latency(sums, "", ms)

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
            "since": found.since,
            "at": start,
        }
        name = "|".join((*(str(value) for value in list(facts.values())[:6]), f"{start:%Y-%m-%dT%H}"))
        self._facts[COMPARISONS, name] = facts
        sums = self._sums[COMPARISONS, name]
        sums["n"] += 1
        for field in ("own_failed", "other_failed", "agreed", "compared"):
            sums[field] += int(getattr(found, field))
        for whose, seconds, failed in (
            ("own_", found.own_s, found.own_failed),
            ("other_", found.other_s, found.other_failed),
        ):
            if not failed:
                _add_latency(sums, whose, seconds * 1000)

    def operations(self) -> dict[str, list[UpdateOne]]:
        """Return what adds the sums, by collection."""
        made: dict[str, list[UpdateOne]] = defaultdict(list)
        for (collection, name), sums in self._sums.items():
            change = {"$inc": dict(sums), "$setOnInsert": self._facts[collection, name]}
            made[collection].append(UpdateOne({"_id": name}, change, upsert=True))
        return dict(made)

    def forget(self, collection: str, but: Container[int] = ()) -> None:
        """Let go of what was added to a collection: of all its operations `but` those at some places."""
        names = [name for owner, name in self._sums if owner == collection]
        for place, name in enumerate(names):
            if place not in but:
                del self._sums[collection, name], self._facts[collection, name]
        self._places.clear()

    def _place(self, of: Of, at: datetime, span: Span) -> Sums:
        start = floor(at, span)
        name = f"{of.model}|{of.stage}|{of.version}|{span}|{start:%Y-%m-%dT%H:%M}"
        facts = {"model": of.model, "stage": of.stage, "version": of.version, "span": span, "at": start}
        self._facts[COUNTS, name] = facts
        return self._sums[COUNTS, name]


def _add_latency(sums: Sums, whose: str, ms: float) -> None:
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


def percentiles(histogram: Mapping[str, float], *shares: float) -> list[float | None]:
    """Return the latencies below which such shares of a histogram lie, in ms, to within a twentieth; None of nothing.

    `shares` grow.
    """
    parts = sorted((int(part), count) for part, count in histogram.items())
    total, seen, found = sum(histogram.values()), 0.0, []
    wanted = iter(shares)
    share = next(wanted, None)
    for part, count in parts:
        seen += count
        while share is not None and seen >= share * total:
            found.append(LEAST_MS * GROWTH ** (part - 0.5))
            share = next(wanted, None)
    return [*found, *[None] * (len(shares) - len(found))]


def percentile(histogram: Mapping[str, float], share: float) -> float | None:
    """Return one of them."""
    return percentiles(histogram, share)[0]


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
