"""What Prometheus is told at /metrics, summed over all workers of the instance.

With several workers each writes its counts into files below PROMETHEUS_MULTIPROC_DIR (gunicorn.py makes the folder)
and any of them can answer for all.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from flask import Blueprint, Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from sacristy.serving.loading import Identity

if TYPE_CHECKING:
    from sacristy.serving.service import Service

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
OTHER = "other"  # unknown addresses and methods share one label each, so that a scan cannot fill the memory
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST"})


class Metrics:
    """The metrics of one served model."""

    def __init__(self, identity: Identity) -> None:
        """Metrics live in a registry of their own, so that two apps may live in one process."""
        self.registry = CollectorRegistry()
        names = ("model", "version", "digest", "run")
        info = Gauge("sacristy_model", "Who answers", names, registry=self.registry, multiprocess_mode="max")
        info.labels(identity.model, identity.version, identity.digest, str(identity.run)).set(1)
        self.requests = Counter(
            "sacristy_requests", "Answers sent", ("page", "method", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "sacristy_request_seconds", "Time to answer", ("page",), buckets=SECONDS, registry=self.registry
        )
        self.instances = Counter("sacristy_instances", "Instances predicted", registry=self.registry)
        self.ready = Gauge(
            "sacristy_ready", "Workers that passed the warm-up", registry=self.registry, multiprocess_mode="livesum"
        )

    def render(self) -> bytes:
        """Return the text of /metrics."""
        return render(self.registry)


def render(registry: CollectorRegistry) -> bytes:
    """Return the metrics of all workers as text; of this process alone where there is no folder to add them up in."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(registry)
    everybody = CollectorRegistry()
    MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]
    return generate_latest(everybody)


def watch(app: Flask, metrics: Metrics) -> None:
    """Count and time every answer of the app."""

    @app.before_request
    def start() -> None:
        g.started = time.perf_counter()

    @app.after_request
    def count(response: Response) -> Response:
        page = request.url_rule.rule if request.url_rule else OTHER
        method = request.method if request.method in METHODS else OTHER
        metrics.requests.labels(page, method, str(response.status_code)).inc()
        metrics.seconds.labels(page).observe(time.perf_counter() - g.started)
        return response


def routes(service: Service) -> Blueprint:
    """Return the page /metrics."""
    pages = Blueprint("metrics", __name__)

    @pages.get("/metrics")
    def show() -> Response:
        return Response(service.metrics.render(), content_type=CONTENT_TYPE_LATEST)

    return pages
