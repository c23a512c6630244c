"""What Prometheus is told at /metrics, summed over the gateway's workers (gunicorn.py makes the folder for that)."""

from __future__ import annotations

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram

from sacristy.gateway.counts import Of
from sacristy.gateway.rights import Right, needs
from sacristy.serving.metrics import SECONDS, render

LABELS = ("model", "stage", "version")


class Meter:
    """The counters of one worker."""

    def __init__(self) -> None:
        """In a registry of their own, so that two apps may live in one process."""
        registry = self.registry = CollectorRegistry()
        name = "sacristy_gateway"
        self.requests = Counter(f"{name}_predictions", "Predictions asked for", (*LABELS, "outcome"), registry=registry)
        self.seconds = Histogram(
            f"{name}_model_seconds", "Time that the model server took", LABELS, buckets=SECONDS, registry=registry
        )
        self.held = Counter(f"{name}_held", "Requests for stages that slept", (*LABELS[:2], "end"), registry=registry)
        self.log_dropped = Counter(f"{name}_log_dropped", "Predictions that could not be logged", registry=registry)
        self.log_failures = Counter(f"{name}_log_failures", "Batches that MongoDB did not take", registry=registry)
        self.copies_dropped = Counter(
            f"{name}_copies_dropped", "Copies for a canary or mirror that found no room", registry=registry
        )
        self.log_waiting = Gauge(
            f"{name}_log_waiting", "Predictions not logged yet", registry=registry, multiprocess_mode="livesum"
        )
        self._known: dict[tuple[Of, str], tuple[Counter, Histogram]] = {}

    def count(self, of: Of, outcome: str, seconds: float) -> None:
        """Count a prediction and the time it took."""
        known = self._known.get((of, outcome))
        if known is None:  # both in one step: other threads ask too
            words = (of.model, of.stage, of.version)
            known = self.requests.labels(*words, outcome), self.seconds.labels(*words)
            self._known[of, outcome] = known
        counter, times = known
        counter.inc()
        times.observe(seconds)


def routes(meter: Meter) -> Blueprint:
    """Return the page /metrics."""
    pages = Blueprint("metrics", __name__)

    @pages.get("/metrics")
    @needs(Right.STATISTICS)
    def show() -> Response:
        return Response(render(meter.registry), content_type=CONTENT_TYPE_LATEST)

    return pages
