"""Gunicorn's settings for the gateway: `gunicorn --config python:sacristy.gateway.gunicorn`. All names are its own."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from typing import Any

from sacristy.serving.body import PAUSE_S
from sacristy.serving.worker import ShortStalls, limit_waits

workers = min(4, max(2, len(os.sched_getaffinity(0)) // 2))
worker_class = "sacristy.serving.worker.Worker"
threads = 32  # they mostly wait for model servers
keepalive = 75  # longer than proxies keep idle connections (nginx: 60), so that ours is never the side that closes
timeout = 90  # longer than the wait for a model server
graceful_timeout = 30
limit_request_line = 4094
limit_request_fields = 64
limit_request_field_size = 8190
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - memory, for the heartbeat
control_socket_disable = True
accesslog = None
errorlog = "-"


def on_starting(server: Any) -> None:
    """Make the folder in which workers add up their metrics."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="sacristy-gateway-", dir=worker_tmp_dir)


def when_ready(server: Any) -> None:
    """Wait for no client for long: a few that stop in the middle of a request would keep all threads."""
    limit_waits(server.LISTENERS, PAUSE_S)
    server.log.error_log.addFilter(ShortStalls())


def post_fork(server: Any, worker: Any) -> None:
    """Let the threads that answer take over quickly from the one that logs; Python's own interval is 5 ms."""
    sys.setswitchinterval(0.0005)


def child_exit(server: Any, worker: Any) -> None:
    """Forget the ended worker's gauges."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    """Remove the metrics' folder."""
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
