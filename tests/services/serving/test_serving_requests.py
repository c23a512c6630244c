"""The whole corpus of invalid requests, over sockets, against a real server."""

from pathlib import Path

import httpx
import psutil
import pytest

from sacristy.release.requests import load_cases, send

CASES = load_cases(Path(__file__).parents[2] / "requests" / "invalid")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refused_as_its_file_says(server, case):
    status, _, body = send("127.0.0.1", server.port, case.build([3.5, 4.0]), timeout_s=15)
    assert case.check(status, body) is None


def test_the_worker_survives_the_corpus_without_growing(server):
    worker = psutil.Process(server.process.pid).children()[0]
    large = [case.build([3.5, 4.0]) for case in CASES if "megabytes" in case.name]
    before = worker.memory_info().rss
    for request in large * 5:
        send("127.0.0.1", server.port, request, timeout_s=15)
    assert worker.memory_info().rss < before + 30 * 2**20
    assert httpx.get(f"{server.url}/v2/health/ready").status_code == 200


def test_every_refusal_is_signed(server):
    headers = httpx.post(f"{server.url}/predict", content=b"{").headers
    assert headers["X-Sacristy-Model"] == "tiny"
    assert headers["X-Sacristy-Version"] == "7.1"
    assert headers["X-Sacristy-Digest"].startswith("sha256:abab")
    assert headers["X-Sacristy-Run"] == "7"
