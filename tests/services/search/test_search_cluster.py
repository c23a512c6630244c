"""A search over a Ray that is there already, by Ray's client, as a Job does on a cluster."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sacristy.environments import ensure_environment
from sacristy.search.driving import clean, search_lock
from sacristy.settings import Settings

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[3]
ENVIRONMENTS = Path(os.environ.get("SACRISTY_ENVIRONMENTS", ROOT / ".sacristy" / "environments"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def cluster(bench: Any) -> Iterator[str]:
    """Start a head with one core and a token, as the stack's pods know the database, and return its address."""
    settings = Settings(project=ROOT, environments=ENVIRONMENTS)
    ray = ensure_environment(settings, search_lock(settings)).with_name("ray")
    folder, port = Path(tempfile.mkdtemp(prefix="ray-head-", dir="/tmp")), free_port()
    bench.environment |= {"RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_kill_child_processes_on_worker_exit": "0"}
    argv = [
        str(ray),
        "start",
        "--head",
        "--block",
        "--disable-usage-stats",
        "--include-dashboard=false",
        "--num-cpus=1",
    ]
    argv += [f"--port={free_port()}", f"--ray-client-server-port={port}", f"--temp-dir={folder}"]
    argv += ["--include-dashboard=false", "--node-ip-address=127.0.0.1", "--object-store-memory=80000000"]
    with (bench.folder / "head").open("wb") as printed:
        head = subprocess.Popen(argv, cwd=ROOT, env=bench.environment, stdout=printed, stderr=printed)
    bench.until(lambda: answers(port))
    yield f"ray://127.0.0.1:{port}"
    head.terminate()
    head.wait(60)
    clean(folder)
    shutil.rmtree(folder, ignore_errors=True)


def test_a_search_is_driven_from_outside_of_the_cluster(bench: Any, cluster: str) -> None:
    words = ("--trials", "2", "--parallel", "2", "--sampler", "random", "--address", cluster, "--json")
    found = bench.json("search", "digits", *words, "with", "epochs=2")
    assert [trial["status"] for trial in found["trials"]] == ["COMPLETED", "COMPLETED"]
    assert {run["status"] for run in bench.trials(found["search"])} == {"COMPLETED"}
    assert len(found["best"]) == 1
