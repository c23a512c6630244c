"""Gunicorn's settings for every image: `gunicorn --config python:sacristy.serving.gunicorn`.

A module of settings is how Gunicorn wants it; the names below are Gunicorn's own, the hooks at the end too.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from sacristy.serving.body import PAUSE_S
from sacristy.serving.loading import app_folder, read_limits, read_model_toml
from sacristy.serving.node_cache import hold
from sacristy.serving.pipeline import WAITING
from sacristy.serving.shared_memory import clear_leftovers, new_folder
from sacristy.serving.worker import limit_waits, replacing

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - memory is meant: a heartbeat on a slow disk can look like a hang
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
SPARE_THREADS = 8  # they answer health, metrics and "overloaded" while all others predict or wait
GRACE_S = 5

_limits = read_limits(read_model_toml(app_folder()))


def available_cores(quota: Path = CPU_QUOTA) -> int:
    """Return the cores this process may use: its CPU set, cut by the container's quota, at least 1."""
    cores = len(os.sched_getaffinity(0))
    try:
        limit, period = quota.read_text().split()
        return max(1, min(cores, int(limit) // int(period)))
    except (OSError, ValueError):  # no quota: the file is missing or says "max"
        return cores


def torch_threads(cores: int, workers: int, threads: int) -> int:
    """Return how many threads one prediction may use so that all of them together fit the cores."""
    return max(1, cores // (workers * threads))


bind = f"{os.environ.get('SACRISTY_HOST', '0.0.0.0')}:{os.environ.get('SACRISTY_PORT', '8080')}"  # noqa: S104
workers = _limits.workers
worker_class = "sacristy.serving.worker.Worker"  # threads and keep-alive: measured, twice the sync worker's speed
threads = _limits.threads + WAITING + SPARE_THREADS  # predictions themselves are limited in pipeline.py
keepalive = 75  # longer than proxies keep idle connections (nginx: 60), so that ours is never the side that closes
timeout = _limits.timeout_s + GRACE_S  # for a main loop that stands still, loading aside; pipeline.py sees others
graceful_timeout = _limits.timeout_s + GRACE_S
limit_request_line = 2048
limit_request_fields = 64
limit_request_field_size = 8190
preload_app = False  # torch's thread pools do not survive a fork, and CUDA must not be touched before one
worker_tmp_dir = str(SHARED_MEMORY) if os.access(SHARED_MEMORY, os.W_OK) else None
control_socket_disable = True
accesslog = None
errorlog = "-"
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"}},
    "filters": {"stalls": {"()": "sacristy.serving.worker.ShortStalls"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["stalls"]}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["stderr"], "propagate": False, "qualname": "gunicorn.error"}
    },
}

os.environ.setdefault("OMP_NUM_THREADS", str(torch_threads(available_cores(), workers, _limits.threads)))


def on_starting(server: Any) -> None:
    """Make the folder in which workers add up their metrics, and remove what killed servers left of theirs.

    Weights that lie in a cache of the node are held there.
    """
    place = Path(worker_tmp_dir or tempfile.gettempdir())
    clear_leftovers(place)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(new_folder(place))
    if os.environ.get("SACRISTY_HOLDS_WEIGHTS"):
        hold(app_folder() / "weights")


def when_ready(server: Any) -> None:
    """Wait for no client for long."""
    limit_waits(server.LISTENERS, PAUSE_S)


def child_exit(server: Any, worker: Any) -> None:
    """Forget the ended worker's gauges."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def worker_exit(server: Any, worker: Any) -> None:
    """Leave without waiting for the thread that hangs: Python would join it."""
    if replacing.is_set():
        os._exit(1)


def on_exit(server: Any) -> None:
    """Remove the metrics' folder."""
    shutil.rmtree(os.environ["PROMETHEUS_MULTIPROC_DIR"], ignore_errors=True)
