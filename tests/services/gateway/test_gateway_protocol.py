"""The gateway and a model server as programs from elsewhere see them: a client of the protocol, and a fuzzer."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy
import pytest
import tritonclient.http as triton
from services.serving.conftest import make_app, start  # noqa: F401 - the fixtures

from sacristy.client import Client
from sacristy.names import Stage
from sacristy.settings import Role, Settings
from sacristy.stack.init import init
from sacristy.stack.ports import free_port
from sacristy.stack.services import gateway_program
from sacristy.targets.routes import Route, set_route

FUZZER = Path(sys.executable).with_name("schemathesis")
FUZZING_S = 15
ORDERS = "^/ops/(promote|rollback|canary)$"  # each runs a command, and unit tests give them what is strange


@pytest.fixture(scope="module")
def server(start: Any) -> Any:  # noqa: F811
    """The tiny model, without the numbers that make it hang or die."""
    return start(top="SLOW = FAILING = HANGING = DYING = None")


@pytest.fixture(scope="module")
def gateway(server: Any, mongod: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Settings]]:
    """A real gateway with a real database before the tiny model, which is at both stages."""
    folder = tmp_path_factory.mktemp("gateway")
    settings = Settings(project=folder, home=folder / "home", mongodb_url=mongod.url(Role.GATEWAY))
    init(settings)
    for stage in Stage:
        route = Route(server.url, "7.1", "sha256:" + "ab" * 32, 7, "process", f"tiny-{stage}-1")
        set_route(settings.routes_file, "tiny", stage, route)
    port = free_port()
    program = gateway_program(settings, port)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(program.argv, env=program.environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 30
    while True:
        try:
            httpx.get(f"{url}/health").raise_for_status()
            break
        except httpx.HTTPError:
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
    yield url, settings
    process.terminate()
    process.wait(20)


def token(gateway: tuple[str, Settings], role: str = "application") -> str:
    return gateway[1].secret(f"gateway-{role}")


def test_a_client_of_the_open_inference_protocol_works(gateway: tuple[str, Settings]) -> None:
    headers = {"Authorization": f"Bearer {token(gateway)}"}
    client = triton.InferenceServerClient(gateway[0].removeprefix("http://"))
    try:
        assert client.is_server_live(headers=headers)
        assert client.is_model_ready("tiny", headers=headers)
        assert client.get_model_metadata("tiny", headers=headers)["versions"] == ["7.1"]
        tensor = triton.InferInput("instances", [2, 2], "FP64")
        tensor.set_data_from_numpy(numpy.array([[0.0, 16.0], [0.0, 0.0]]), binary_data=False)
        wanted = [triton.InferRequestedOutput("label", binary_data=False)]
        answer = client.infer(
            "tiny", [tensor], "7.1", outputs=wanted, headers=headers, query_params={"stage": "staging"}
        )
        assert answer.as_numpy("label").tolist() == ["high", "low"]
        assert not client.is_model_ready("tiny", "8", headers=headers)
    finally:
        client.close()


def test_without_a_token_that_client_is_refused(gateway: tuple[str, Settings]) -> None:
    client = triton.InferenceServerClient(gateway[0].removeprefix("http://"))
    try:
        with pytest.raises(triton.InferenceServerException, match="401"):
            client.get_model_metadata("tiny")
    finally:
        client.close()


def test_our_own_client_predicts_and_teaches(gateway: tuple[str, Settings]) -> None:
    with Client(gateway[0], token(gateway, "scientist")) as client:
        answer = client.predict("tiny", [[0, 16]])
        assert (answer.predictions[0]["label"], answer.version) == ("high", "7.1")
        first, again = (client.feedback(answer.id, label="low", user="u-1") for _ in range(2))
        assert (first.agrees, first.predicted, first.new, again.new) == (False, "high", True, False)
        assert client.statistics("tiny")["versions"]["7.1"]["agreement"]["n"] >= 1
        assert client.models()["tiny"]["production"]["version"] == "7.1"


def fuzz(url: str, *words: str) -> int:
    """Return how many requests a fuzzer made up from a server's OpenAPI, none of which was answered by a 5xx."""
    argv = [str(FUZZER), "run", f"{url}/openapi.json", "--checks", "not_a_server_error", "--no-color"]
    argv += ["--phases", "coverage,fuzzing", "--max-time", str(FUZZING_S), "--generation-deterministic"]
    argv += ["--suppress-health-check", "all"]
    done = subprocess.run([*argv, *words], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    generated, passed = re.search(r"(\d+) generated, (\d+) passed", done.stdout).groups()
    assert generated == passed
    return int(passed)


def test_fuzzing_the_gateway_finds_no_server_error(gateway: tuple[str, Settings]) -> None:
    shown = f"Authorization: Bearer {token(gateway, 'ops')}"
    assert fuzz(gateway[0], "--header", shown, "--exclude-path-regex", ORDERS) > 200


def test_fuzzing_a_model_server_finds_no_server_error(server: Any) -> None:
    assert fuzz(server.url) > 200
