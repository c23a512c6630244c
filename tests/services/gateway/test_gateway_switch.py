"""A real gateway before real model servers: what users see while instances come and go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from sacristy.gateway.rights import TokenRole
from sacristy.gateway.tokens import admit
from sacristy.names import Stage
from sacristy.settings import Settings
from sacristy.stack.ports import free_port
from sacristy.stack.services import gateway_program
from sacristy.targets.routes import Route, set_route

SECRET = "a token of the tests alone"
AUTHORISED = {"Authorization": f"Bearer {SECRET}"}
QUESTION = b'{"instances": [[0.0]]}'
Server = tuple[subprocess.Popen[bytes], int]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "models" / "digits").mkdir(parents=True)
    (tmp_path / "models" / "digits" / "model.toml").touch()
    made = Settings(project=tmp_path, home=tmp_path / "home", mongodb_url="mongodb://127.0.0.1:1/nowhere")
    admit(made.tokens_file, "tests", TokenRole.APPLICATION, SECRET)
    return made


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    """Start a server and wait until its port answers; end what is left afterwards."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(argv: list[str], port: int, **environment: str) -> Server:
        process = subprocess.Popen(argv, env=os.environ | environment)
        started.append(process)
        http = urllib3.PoolManager(retries=urllib3.Retry(total=60, backoff_factor=0.1, backoff_max=0.2))
        http.request("GET", f"http://127.0.0.1:{port}/health")
        http.clear()
        return process, port

    yield begin
    for process in started:
        process.kill()
        process.wait()


def model_server(start: Callable[..., Server], version: str, sleep_s: float = 0.0) -> Server:
    port = free_port()
    argv = [sys.executable, "-m", "gunicorn", "--chdir", str(Path(__file__).parent), "--threads", "8"]
    argv += ["--bind", f"127.0.0.1:{port}", "--no-control-socket", "answering:app"]
    return start(argv, port, VERSION=version, SLEEP_S=str(sleep_s))


def gateway(start: Callable[..., Server], settings: Settings) -> str:
    port = free_port()
    program = gateway_program(settings, port)
    start(list(program.argv), port, **program.environment)
    return f"http://127.0.0.1:{port}"


def point(settings: Settings, port: int, version: str) -> None:
    found = Route(f"http://127.0.0.1:{port}", version, "sha256:" + version * 64, 2, "process", "digits-serve-x")
    set_route(settings.routes_file, "digits", Stage.PRODUCTION, found)


def stop(server: Server, with_signal: int = signal.SIGTERM) -> None:
    server[0].send_signal(with_signal)
    server[0].wait(20)


class Load:
    """Clients that ask without pause, each on a connection kept alive; counts (status, version)."""

    def __init__(self, url: str, clients: int) -> None:
        self.counts: Counter[tuple[Any, Any]] = Counter()
        self._url = url + "/models/digits/predict"
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        with urllib3.PoolManager(retries=False) as http:
            headers = {"Content-Type": "application/json"} | AUTHORISED
            while not self._ending.is_set():
                try:
                    answer = http.request("POST", self._url, body=QUESTION, headers=headers)
                    self.counts[answer.status, answer.headers.get("X-Sacristy-Version")] += 1
                except urllib3.exceptions.HTTPError as error:
                    self.counts[type(error).__name__, None] += 1


def test_switching_versions_under_load_fails_no_request(settings: Settings, start: Callable[..., Server]) -> None:
    serving = model_server(start, "1")
    point(settings, serving[1], "1")
    with Load(gateway(start, settings), clients=6) as load:
        for version in "23456":
            fresh = model_server(start, version)
            point(settings, fresh[1], version)
            stop(serving)
            serving = fresh
            time.sleep(0.3)
    print(load.counts)
    assert {status for status, _ in load.counts} == {200}
    assert {version for _, version in load.counts} == set("123456")


def test_an_instance_that_is_killed_after_the_switch_costs_no_request(
    settings: Settings, start: Callable[..., Server]
) -> None:
    one, two = model_server(start, "1", sleep_s=0.05), model_server(start, "2", sleep_s=0.05)
    point(settings, one[1], "1")
    with Load(gateway(start, settings), clients=6) as load:
        time.sleep(0.5)
        point(settings, two[1], "2")
        stop(one, signal.SIGKILL)  # with requests in flight: they are asked again, at the new one
        time.sleep(0.5)
    assert {status for status, _ in load.counts} == {200}


def test_it_starts_and_answers_without_models_and_without_a_database(
    settings: Settings, start: Callable[..., Server]
) -> None:
    url = gateway(start, settings)
    assert urllib3.request("GET", url + "/health").json() == {"status": "ok", "models": 0}
    answer = urllib3.request(
        "POST", url + "/models/digits/predict", json={"instances": [1]}, headers=AUTHORISED, retries=False
    )
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


def test_an_instance_that_is_away_gives_503_until_it_is_back(settings: Settings, start: Callable[..., Server]) -> None:
    serving = model_server(start, "1")
    point(settings, serving[1], "1")
    url = gateway(start, settings) + "/models/digits/predict"
    stop(serving)
    assert urllib3.request("POST", url, json={"instances": [1]}, headers=AUTHORISED, retries=False).status == 503
    back = model_server(start, "2")
    point(settings, back[1], "2")
    assert urllib3.request("POST", url, json={"instances": [1]}, headers=AUTHORISED, retries=False).status == 200


def test_what_is_no_http_gets_4xx_and_the_gateway_lives(settings: Settings, start: Callable[..., Server]) -> None:
    import socket

    url = gateway(start, settings)
    host, port = url.removeprefix("http://").split(":")
    for raw in (b"GET\r\n\r\n", b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"):
        with socket.create_connection((host, int(port)), timeout=5) as stream:
            stream.sendall(raw)
            assert stream.recv(100).startswith(b"HTTP/1.1 4")
    assert urllib3.request("GET", url + "/health").status == 200
