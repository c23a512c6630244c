"""The servers of the bench: a model, nginx as a plain reverse proxy, the gateway, a MongoDB; each by itself."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pymongo

from sacristy.names import Stage
from sacristy.settings import Role, Settings
from sacristy.stack.init import init
from sacristy.stack.mongodb import prepare
from sacristy.stack.ports import free_port, remember
from sacristy.stack.services import gateway_program, mongodb_program
from sacristy.targets.routes import Route, set_route
from sacristy.tracking.database import open_client

SERVE = """
from sacristy.serving import Classification, Model


class Constant(Model):
    instance = str
    prediction = Classification

    def load(self, folder): ...
    def decode(self, instance):
        return instance

    def predict(self, inputs):
        return inputs

    def encode(self, output):
        return Classification(label="World", probabilities={"World": 0.75, "Sports": 0.25})
"""
PROBABILITIES = {"World": 0.75, "Sports": 0.25}
GOLDEN = [{"instance": "x", "prediction": {"label": "World", "probabilities": PROBABILITIES}}]
BASELINE = {"schema": 1, "model": "constant", "version": "1", "run": 1}
NGINX = """
worker_processes 2; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream model {{ server 127.0.0.1:{model}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""
Command = list[str]


@dataclass(frozen=True)
class Server:
    """A server that runs, and those beside it whose work is its too."""

    url: str
    pids: tuple[int, ...]

    @property
    def port(self) -> str:
        return self.url.rpartition(":")[2]

    def processor_s(self) -> float:
        """Return the processor seconds that its processes have used so far."""
        first = [psutil.Process(pid) for pid in self.pids]
        everybody = {process.pid: process for each in first for process in (each, *each.children(recursive=True))}
        return sum(sum(process.cpu_times()[:2]) for process in everybody.values())


@contextlib.contextmanager
def running(argv: Command, port: int, log: Path, environment: dict[str, str], path: str = "/") -> Iterator[Server]:
    """Run a server for as long as the block lasts; give it once it answers."""
    with log.open("ab") as output:
        process = subprocess.Popen(argv, env=os.environ | environment, stdout=output, stderr=output)
    try:
        wait_for(f"http://127.0.0.1:{port}{path}", process, log)
        yield Server(f"http://127.0.0.1:{port}", (process.pid,))
    finally:
        process.terminate()
        process.wait(30)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(url, trust_env=False)
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"it did not start: {log.read_text()[-2000:]}")
        time.sleep(0.1)


@contextlib.contextmanager
def model_server(folder: Path) -> Iterator[Server]:
    """One worker of Sacristy's own server with a model that costs nothing: the way there is measured."""
    app = folder / "app"
    for name in ("model", "weights"):
        (app / name).mkdir(parents=True)
    (app / "model" / "serve.py").write_text(SERVE)
    (app / "model" / "model.toml").write_text('title = "constant"\n[serving]\nthreads = 8\n')
    (app / "weights" / "golden.json").write_text(json.dumps(GOLDEN))
    (app / "baseline.json").write_text(json.dumps(BASELINE))
    port = free_port()
    argv = [sys.executable, "-m", "gunicorn", "--config", "python:sacristy.serving.gunicorn"]
    told = {"SACRISTY_APP": str(app), "SACRISTY_HOST": "127.0.0.1", "SACRISTY_PORT": str(port)}
    with running([*argv, "sacristy.serving.app:create_app()"], port, folder / "model.log", told) as server:
        yield server


@contextlib.contextmanager
def nginx(folder: Path, model: Server) -> Iterator[Server]:
    """A plain reverse proxy, with connections to the model kept alive."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    port = free_port()
    text = NGINX.format(folder=folder, model=model.port, port=port)
    (folder / "nginx.conf").write_text(text)
    with running([program, "-c", str(folder / "nginx.conf"), "-p", str(folder)], port, folder / "out", {}) as server:
        yield server


@contextlib.contextmanager
def mongodb(settings: Settings) -> Iterator[tuple[pymongo.MongoClient, int]]:
    """The embedded stack's own MongoDB; gives a client that may do everything, and its process."""
    wheel = Path(sysconfig.get_path("purelib")) / "fiftyone" / "db" / "bin" / "mongod"
    mongod = Path(shutil.which("mongod") or wheel)
    port = free_port()
    remember(settings, "mongodb", port)
    (settings.home / "mongodb" / "data").mkdir()
    program = mongodb_program(settings, mongod, port)
    with (settings.home / "logs" / "mongodb.log").open("ab") as log:
        process = subprocess.Popen(program.argv, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                prepare(settings, port)
                break
            except pymongo.errors.PyMongoError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        with open_client(settings.database_url(Role.ADMIN)) as client:
            yield client, process.pid
    finally:
        process.terminate()
        process.wait(60)


@contextlib.contextmanager
def gateway(settings: Settings, model: Server, *beside: int, **options: str) -> Iterator[Server]:
    """The gateway as `sacristy up` starts it, with one model behind it. `beside`: processes that work for it."""
    route = Route(model.url, "1", "sha256:" + "1" * 64, 1, "process", "constant-production-1")
    set_route(settings.routes_file, "constant", Stage.PRODUCTION, route)
    port = free_port()
    program = gateway_program(settings, port)
    log = settings.home / "logs" / "gateway.log"
    with running(list(program.argv), port, log, {**program.environment, **options}, "/health") as server:
        yield Server(server.url, (*server.pids, *beside))


def new_settings(folder: Path) -> Settings:
    """Return the settings of an empty project with secrets of its own."""
    model = folder / "models" / "constant"
    model.mkdir(parents=True)
    (model / "model.toml").write_text('title = "constant"\n[gates]\nmetric = "accuracy"\nminimum = 0.5\n')
    (folder / "Pipfile").touch()
    settings = Settings(project=folder, home=folder / "home")
    init(settings)
    return settings
