"""What the operator tells Prometheus and whoever asks for its health."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from sacristy.errors import SacristyError

SILENT_S = 10.0  # after which a connection that says nothing is closed: else each half-open one keeps a thread for ever
SECONDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0)


class Telemetry:
    """Counts and times of one operator."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.registry = CollectorRegistry()
        self._clock, self._turned = clock, clock()
        given: Any = {"registry": self.registry}
        self.leads = Gauge("sacristy_operator_leads", "Whether this one acts", **given)
        self.stages = Gauge("sacristy_operator_stages", "Stages that point at an image", **given)
        self.failing = Gauge("sacristy_operator_failing_stages", "Stages whose image does not come up", **given)
        self.away = Gauge("sacristy_operator_registry_away", "Whether the registry does not answer", **given)
        self.done = Counter("sacristy_operator_tasks", "Deployments and repairs", ("task", "result"), **given)
        self.seconds = Histogram("sacristy_operator_task_seconds", "How long they took", buckets=SECONDS, **given)
        self.turns = Histogram("sacristy_operator_turn_seconds", "How long a look takes", buckets=SECONDS, **given)

    def turned(self, took_s: float) -> None:
        """Note a turn that came to its end."""
        self.turns.observe(took_s)
        self._turned = self._clock()

    @property
    def silent_s(self) -> float:
        """Seconds since the last turn ended."""
        return self._clock() - self._turned


class Page(ThreadingHTTPServer):
    """/metrics; /health: 503 when no turn has ended for over `limit_s`; /targets: whom Prometheus asks besides."""

    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        telemetry: Telemetry,
        limit_s: float,
        targets: Callable[[], list[dict[str, Any]]] = list,
    ) -> None:
        self.telemetry, self.limit_s, self.targets = telemetry, limit_s, targets
        super().__init__(address, _Handler)

    def start(self) -> None:
        """Answer from a thread."""
        threading.Thread(target=self.serve_forever, name="metrics and health", daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: Page
    timeout = SILENT_S

    def do_GET(self) -> None:
        """Answer the three pages."""
        if self.path == "/metrics":
            self._say(200, generate_latest(self.server.telemetry.registry), CONTENT_TYPE_LATEST)
        elif self.path == "/health":
            silent_s = self.server.telemetry.silent_s
            well = silent_s < self.server.limit_s
            text = "well\n" if well else f"no turn has ended for {silent_s:.0f} s\n"
            self._say(200 if well else 503, text.encode(), "text/plain")
        elif self.path == "/targets":
            self._say_targets()
        else:
            self._say(404, b"there is /metrics, /health and /targets\n", "text/plain")

    def log_message(self, format: str, *words: object) -> None:
        """Say nothing: probes come every few seconds."""

    def _say_targets(self) -> None:
        try:
            self._say(200, json.dumps(self.server.targets()).encode(), "application/json")
        except SacristyError as error:  # Prometheus goes on with those that it knows
            self._say(503, f"{error}\n".encode(), "text/plain")

    def _say(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
