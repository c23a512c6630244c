"""A real Gunicorn with a tiny model, whose first number says what it does."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

SERVE = """
import os, threading, time
from typing import Annotated
from pydantic import Field
from sacristy.serving import Classification, Model

SLOW, FAILING, HANGING, DYING = 1, 2, 3, 4
{top}

class Tiny(Model):
    instance = Annotated[list[Annotated[float, Field(ge=0, le=16)]], Field(min_length=2, max_length=2)]
    prediction = Classification

    def load(self, folder):
        {load}

    def decode(self, instance):
        return instance

    def predict(self, inputs):
        first = inputs[0][0]
        if first == SLOW:
            time.sleep(0.5)
        if first == FAILING:
            raise RuntimeError("secret of the model")
        if first == HANGING:
            threading.Event().wait()
        if first == DYING:
            os.kill(os.getpid(), 9)
        return inputs

    def encode(self, output):
        high = output[1] / 16
        return Classification(label="high" if high > 0.5 else "low", probabilities={{"low": 1 - high, "high": high}})
"""
GOLDEN = [{"instance": [0, 16], "prediction": {"label": "high", "probabilities": {"low": 0.0, "high": 1.0}}}]
BASELINE = {"schema": 1, "model": "tiny", "version": "7.1", "run": 7}
DIGEST = "sha256:" + "ab" * 32


@dataclass
class Server:
    process: subprocess.Popen
    port: int
    log: Path

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def ask(self, first=0, second=16, **options):
        return httpx.post(f"{self.url}/predict", json={"instances": [[first, second]]}, **options)

    def stop(self, timeout_s=15):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)


@pytest.fixture(scope="session")
def make_app(tmp_path_factory):
    def make(limits="", golden=GOLDEN, top="", load="pass"):
        folder = tmp_path_factory.mktemp("app")
        for name in ("model", "weights"):
            (folder / name).mkdir()
        (folder / "model" / "serve.py").write_text(SERVE.format(top=top, load=load))
        (folder / "model" / "model.toml").write_text(f'title = "tiny"\n[serving]\n{limits}\n')
        (folder / "weights" / "golden.json").write_text(json.dumps(golden))
        (folder / "baseline.json").write_text(json.dumps(BASELINE))
        return folder

    return make


@pytest.fixture(scope="session")
def start(make_app):
    servers = []

    def run(**app):
        folder = make_app(**app)
        log = folder / "log"
        told = {"SACRISTY_APP": str(folder), "SACRISTY_HOST": "127.0.0.1", "SACRISTY_PORT": "0"}
        config = ["--config", "python:sacristy.serving.gunicorn"]
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", *config, "sacristy.serving.app:create_app()"],
                cwd=folder,
                env=os.environ | told | {"SACRISTY_DIGEST": DIGEST},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        server = Server(process, 0, log)
        servers.append(server)
        server.port = wait_for(lambda: port_of(log) or (process.poll() is not None and -1))
        return server

    yield run
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def server(start):
    """One server that the tests share, none of which stops it."""
    return start(limits="threads = 2\ntimeout_s = 20")


@pytest.fixture(scope="session")
def eventually():
    return wait_for


def wait_for(condition, timeout_s=20):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def port_of(log):
    found = re.search(r"Listening at: http://127.0.0.1:(\d+)", log.read_text())
    return found and int(found[1])
