"""A real registry (Debian's docker-registry) on loopback, with TLS of its own CA and users of an htpasswd file."""

from __future__ import annotations

import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from local.images.conftest import *  # noqa: F403

from sacristy.images.http import HttpRegistry
from sacristy.images.registry import Access

CONFIG = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {folder}/data}}
  delete: {{enabled: true}}
http:
  addr: 127.0.0.1:{port}
  secret: {secret}
  tls: {{certificate: {folder}/cert.pem, key: {folder}/key.pem}}
auth:
  htpasswd: {{realm: sacristy, path: {folder}/htpasswd}}
"""


class Server:
    """A docker-registry of one's own; `kill` it and `start` it again as often as the test needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.password = secrets.token_urlsafe(16)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}"
        self.ca = folder / "cert.pem"
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", folder / "key.pem"]
        names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        subprocess.run(
            ["openssl", "req", "-x509", "-days", "2", *key, "-out", self.ca, *names], check=True, capture_output=True
        )
        users = subprocess.run(["htpasswd", "-nbB", "-C", "4", "ci", self.password], check=True, capture_output=True)
        (folder / "htpasswd").write_bytes(users.stdout)
        config = CONFIG.format(folder=folder, port=self.port, secret=secrets.token_hex(16))
        (folder / "config.yml").write_text(config)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            argv = ["docker-registry", "serve", self.folder / "config.yml"]
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError((self.folder / "log").read_text())

    def kill(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def registry(self, **changes) -> HttpRegistry:
        return HttpRegistry(self.url, Access(**{"user": "ci", "password": self.password, "ca": self.ca} | changes))


@pytest.fixture(scope="session")
def one_server(tmp_path_factory) -> Iterator[Server]:
    for program in ("docker-registry", "htpasswd", "openssl"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed: apt-get install docker-registry apache2-utils openssl")
    server = Server(tmp_path_factory.mktemp("registry"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def server(one_server) -> Iterator[Server]:
    """The server, emptied after each test."""
    yield one_server
    shutil.rmtree(one_server.folder / "data", ignore_errors=True)


@pytest.fixture
def registry(server, tmp_path, monkeypatch) -> Iterator[HttpRegistry]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    registry = server.registry()
    yield registry
    registry.close()
