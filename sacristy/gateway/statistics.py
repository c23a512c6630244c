"""What the counts say: of each version, over time, and of two versions side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import ASCENDING
from pymongo.database import Database

from sacristy.gateway.counts import COMPARISONS, COUNTS, Span, bucket, floor, label_of_field, percentiles, sample
from sacristy.gateway.intervals import means_differ, share, shares_differ
from sacristy.names import Stage
from sacristy.operator.judging import Figures, Rate
from sacristy.targets.routes import Route, Share, ShareKind

Document = dict[str, Any]
SHORT_H = 6.0  # below that a point for each minute, else for each hour
SUMMED = ("answered", "refused", "failed", "instances", "feedback", "agreed", "timed", "ms", "ms2")
MAPS = ("h", "labels")
ASKED = ("n", "own_failed", "other_failed", "agreed", "compared")  # of two versions that were asked the same
TIMED = tuple(f"{who}{what}" for who in ("own_", "other_") for what in ("timed", "ms", "ms2"))


def statistics(
    database: Database[Document], model: str, stage: Stage, hours: float, versions: tuple[str, str] | None = None
) -> Document:
    """Return volume, latency, label shares and agreement by version; two versions are compared.

    `versions`: which two; without them, the two with most requests. The shape is in docs/how-to/gateway.md.
    """
    span: Span = "minute" if hours <= SHORT_H else "hour"
    until = datetime.now(UTC)
    since = floor(until - timedelta(hours=hours), span)
    query = {"model": model, "stage": str(stage), "span": span, "at": {"$gte": since}}
    points: dict[str, list[Document]] = defaultdict(list)
    for document in database[COUNTS].find(query).sort("at", ASCENDING):
        points[document["version"]].append(document)
    totals = {version: _sum(found) for version, found in points.items()}
    return {
        "model": model,
        "stage": str(stage),
        "since": since,
        "until": until,
        "span": span,
        "versions": {version: _version(totals[version], points[version]) for version in sorted(points, key=_order)},
        "comparison": _comparison(totals, versions),
    }


def beside(database: Database[Document], model: str, stage: Stage, route: Route) -> Document:
    """Return how what is beside a stage's own version does, asked the same requests. docs/how-to/gateway.md."""
    facts: Document = {"model": model, "stage": str(stage), "version": route.version, "digest": route.digest}
    shares = {str(kind): _share(database, model, stage, route, str(kind), each) for kind, each in route.shares.items()}
    return {**facts, "canary": None, "mirror": None, **shares}


def _share(database: Database[Document], model: str, stage: Stage, own: Route, kind: str, beside: Share) -> Document:
    other, total = beside.route, _sum(_compared(database, model, stage, own, kind, beside), ASKED, TIMED)
    n = int(total["n"])
    return {
        "version": other.version,
        "digest": other.digest,
        "percent": beside.percent,
        "since": datetime.fromisoformat(beside.since) if beside.since else None,
        "requests": n,
        "agreement": share(int(total["agreed"]), int(total["compared"])),
        "failures": shares_differ(int(total["own_failed"]), n, int(total["other_failed"]), n),
        "latency_ms": means_differ(sample(total, "own_"), sample(total, "other_")),
    }


def figures(database: Database[Document], key: tuple[str, Stage], own: Route, canary: Share, slow_ms: float) -> Figures:
    """Return what is known of a canary, for who decides on it. Requests above `slow_ms` are slow, to within a tenth."""
    found = list(_compared(database, *key, own, str(ShareKind.CANARY), canary))
    total, most = _sum(found, ASKED, TIMED), bucket(slow_ms)
    slow = sum(n for each in found for part, n in each.get("other_h", {}).items() if int(part) > most)
    asked, compared = int(total["n"]), int(total["compared"])
    return Figures(
        requests=asked,
        failed=Rate(**share(int(total["other_failed"]), asked)),
        slow=Rate(**share(int(slow), int(total["other_timed"]))),
        differing=Rate(**share(compared - int(total["agreed"]), compared)),
    )


def _compared(
    database: Database[Document], model: str, stage: Stage, own: Route, kind: str, beside: Share
) -> Iterable[Document]:
    """Return what was counted of two versions since one was put beside the other."""
    pair = {"own": own.digest, "other": beside.route.digest} | ({"since": beside.since} if beside.since else {})
    return database[COMPARISONS].find({"model": model, "stage": str(stage), "kind": kind} | pair)


def _version(total: Document, points: list[Document]) -> Document:
    labels = {label_of_field(field): int(count) for field, count in total["labels"].items()}
    counted = sum(labels.values())
    return {
        "requests": int(total["answered"]),
        "instances": int(total["instances"]),
        "refused": int(total["refused"]),
        "failed": int(total["failed"]),
        "latency_ms": {
            "mean": sample(total).mean,
            **dict(zip(("p50", "p95", "p99"), percentiles(total["h"], 0.5, 0.95, 0.99), strict=True)),
        },
        "labels": {
            label: {"count": count, "share": count / counted}
            for label, count in sorted(labels.items(), key=lambda pair: -pair[1])
        },
        "agreement": share(int(total["agreed"]), int(total["feedback"])),
        "over_time": [_point(document) for document in points],
    }


def _point(document: Document) -> Document:
    p50, p95 = percentiles(document.get("h", {}), 0.5, 0.95)
    return {
        "at": document["at"],
        "requests": document.get("answered", 0),
        "failed": document.get("failed", 0),
        "p50_ms": p50,
        "p95_ms": p95,
        "feedback": document.get("feedback", 0),
        "agreed": document.get("agreed", 0),
    }


def _comparison(totals: dict[str, Document], versions: tuple[str, str] | None) -> Document | None:
    busiest = sorted(totals, key=lambda version: -totals[version]["answered"])[:2]
    a, b = versions or (sorted(busiest, key=_order) if len(busiest) == 2 else ("", ""))
    if a not in totals or b not in totals:
        return None
    one, two = totals[a], totals[b]
    asked = [int(each["answered"] + each["failed"]) for each in (one, two)]
    return {
        "a": a,
        "b": b,
        "failures": shares_differ(int(one["failed"]), asked[0], int(two["failed"]), asked[1]),
        "agreement": shares_differ(int(one["agreed"]), int(one["feedback"]), int(two["agreed"]), int(two["feedback"])),
        "latency_ms": means_differ(sample(one), sample(two)),
    }


def _sum(documents: Iterable[Document], *names: tuple[str, ...]) -> Document:
    """Return the sums of counts; of those of predictions unless names are given, the histogram and labels too."""
    wanted = [name for each in names or (SUMMED,) for name in each]
    total: Document = dict.fromkeys(wanted, 0) | {name: defaultdict(int) for name in MAPS}
    for document in documents:
        for name in wanted:
            total[name] += document.get(name, 0)
        for name in MAPS:
            for key, count in document.get(name, {}).items():
                total[name][key] += count
    return total


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
