"""Production watched for a while after a release: what users got, held against the limits in model.toml.

Numbers are those that the gateway counts of every answer, whichever target and replica gave it; and the instance itself
is asked whether it is ready.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from pymongo.errors import PyMongoError

from sacristy.errors import NotDeployed
from sacristy.gateway.counts import COUNTS, percentiles
from sacristy.model_file import Watch
from sacristy.names import Stage
from sacristy.release.verdict import now
from sacristy.settings import Settings
from sacristy.targets.readiness import is_ready
from sacristy.targets.routes import Route, read_routes
from sacristy.tracking.database import Documents

EVERY_S = 1.0
SAID_EVERY_S = 30.0


class Verdict(StrEnum):
    """How a watch ended."""

    KEPT = "kept"
    BREACHED = "breached"
    SUPERSEDED = "superseded"


@dataclass(frozen=True)
class Counted:
    """Answers to users since some moment. `histogram`: how many of each part of counts.bucket()."""

    answered: int = 0
    failed: int = 0
    histogram: dict[str, float] = field(default_factory=dict)

    def since(self, earlier: Counted) -> Counted:
        """Return what was added after an earlier count."""
        parts = {part: count - earlier.histogram.get(part, 0) for part, count in self.histogram.items()}
        return Counted(self.answered - earlier.answered, self.failed - earlier.failed, parts)

    @property
    def asked(self) -> int:
        """All requests that should have had an answer."""
        return self.answered + self.failed

    @property
    def error_rate(self) -> float:
        """The share of those that failed; 0 of none."""
        return self.failed / self.asked if self.asked else 0.0

    @property
    def latency_p95_ms(self) -> float:
        """The 95th percentile of the time to answer; 0 without answers."""
        (found,) = percentiles({part: count for part, count in self.histogram.items() if count > 0}, 0.95)
        return found or 0.0


@dataclass(frozen=True)
class Watched:
    """What was seen. `reason` is empty unless limits were broken."""

    model: str
    version: str
    verdict: Verdict
    reason: str
    watched_s: float
    asked: int
    error_rate: float
    latency_p95_ms: float


def breach(found: Counted, limits: Watch, silent_s: float) -> str:
    """Return which limit was broken, in one line; empty if none."""
    if silent_s > limits.silent_s:
        return f"it has not been ready for {silent_s:.0f} s, more than {limits.silent_s} s"
    if found.asked < limits.min_requests:
        return ""
    if found.error_rate > limits.error_rate:
        return f"{found.failed} of {found.asked} requests failed, more than {limits.error_rate:.2%}"
    if found.latency_p95_ms > limits.latency_p95_ms:
        return f"p95 latency {found.latency_p95_ms:.0f} ms is over {limits.latency_p95_ms:g} ms"
    return ""


def read_counts(database: Documents, model: str, version: str, since: datetime) -> Counted:
    """Return what the gateway counted of a version in production, from the minute of a moment on."""
    query = {"model": model, "stage": str(Stage.PRODUCTION), "version": version, "span": "minute"}
    start = since.replace(second=0, microsecond=0)
    answered = failed = 0
    histogram: dict[str, float] = {}
    for document in database[COUNTS].find(query | {"at": {"$gte": start}}):
        answered += int(document.get("answered", 0))
        failed += int(document.get("failed", 0))
        for part, count in (document.get("h") or {}).items():
            histogram[part] = histogram.get(part, 0) + count
    return Counted(answered, failed, histogram)


def watch(
    settings: Settings,
    database: Documents,
    model: str,
    limits: Watch,
    minutes: float,
    say: Callable[[str], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Watched:
    """Watch what production has now, until the time is over or a limit is broken; what to do then is the caller's.

    It ends early (superseded) when another version takes its place. Raises NotDeployed.
    """
    route = _route(settings, model)
    if route is None:
        raise NotDeployed(model=model, stage=Stage.PRODUCTION)
    began = now()
    before = read_counts(database, model, route.version, began)
    found, ready_at, said_at = Counted(), began, began
    while True:
        at = now()
        here = _route(settings, model) or route  # an instance that was replaced has another address
        ready_at = at if here.idle_s or is_ready(here.url) else ready_at  # a stage may be asleep: no fault
        try:
            found = read_counts(database, model, route.version, began).since(before)
        except PyMongoError as error:
            say(f"counts cannot be read for the moment: {type(error).__name__}")
        reason = breach(found, limits, (at - ready_at).total_seconds())
        present = _route(settings, model)
        if present is None or present.digest != route.digest:
            return _seen(route, model, Verdict.SUPERSEDED, "", began, found)
        if reason:
            return _seen(route, model, Verdict.BREACHED, reason, began, found)
        if at - began >= timedelta(minutes=minutes):
            return _seen(route, model, Verdict.KEPT, "", began, found)
        if (at - said_at).total_seconds() >= SAID_EVERY_S:
            said_at = at
            say(f"{model}:{route.version}: {found.asked} requests, {found.error_rate:.2%} failed")
        sleep(EVERY_S)


def _route(settings: Settings, model: str) -> Route | None:
    return read_routes(settings.routes_file).get(model, {}).get(Stage.PRODUCTION)


def _seen(route: Route, model: str, verdict: Verdict, reason: str, began: datetime, found: Counted) -> Watched:
    return Watched(
        model=model,
        version=route.version,
        verdict=verdict,
        reason=reason,
        watched_s=(now() - began).total_seconds(),
        asked=found.asked,
        error_rate=found.error_rate,
        latency_p95_ms=found.latency_p95_ms,
    )
