"""Omniboard behind nginx as a team has it: TLS, a login, no deletes, sandboxed previews."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from sacristy.settings import Settings
from sacristy.stack.ports import free_port

RULES = Path(__file__).parents[3] / "compose" / "nginx"  # the composed stack's own
NGINX = r"""
daemon off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  map "$http_origin|$http_host" $foreign_origin {{
    default $http_origin;
    "~^https://(?<origin>[^|]+)\|\k<origin>$" "";
  }}
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/cert.pem;
    ssl_certificate_key {folder}/key.pem;
    auth_basic_user_file {folder}/users;
    set $omniboard {omniboard};
    include {folder}/omniboard.conf;
  }}
}}
"""

Answer = urllib3.BaseHTTPResponse
pytestmark = pytest.mark.nginx


@pytest.fixture(scope="module")
def front(stack: Settings, tmp_path_factory: pytest.TempPathFactory, until: Any) -> Iterator[Front]:
    """nginx in front of the stack's Omniboard, with a scientist who may log in."""
    if not (shutil.which("nginx") and shutil.which("openssl")):
        pytest.skip("nginx or openssl is not installed: apt-get install nginx-light openssl")
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    folder.parent.chmod(0o755)
    make_certificate(folder)
    password = subprocess.run(["openssl", "passwd", "-apr1", "good-pw"], check=True, capture_output=True, text=True)
    (folder / "users").write_text(f"scientist:{password.stdout}")
    for name in ("omniboard.conf", "proxy.conf"):
        (folder / name).write_text((RULES / name).read_text().replace("/etc/sacristy", str(folder)))
    omniboard = stack.service_url("omniboard").removeprefix("http://")
    user = "user root;\n" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(user + NGINX.format(folder=folder, port=port, omniboard=omniboard))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf")], stderr=log)
    front = Front(f"https://127.0.0.1:{port}", folder / "cert.pem")
    try:
        until(front.answers)
        yield front
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def make_certificate(folder: Path) -> None:
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", folder / "key.pem"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-out", folder / "cert.pem"]
    subprocess.run(["openssl", "req", "-x509", "-days", "2", *key, *names], check=True, capture_output=True)


class Front:
    """nginx, and how it is asked: over TLS that is checked, logged in unless told otherwise."""

    def __init__(self, address: str, certificate: Path) -> None:
        self.address = address
        self._http = urllib3.PoolManager(ca_certs=str(certificate), retries=False)

    def ask(self, method: str, path: str, login: str = "scientist:good-pw", **headers: str) -> Answer:
        fields = urllib3.make_headers(basic_auth=login) if login else {}
        return self._http.request(method, self.address + path, headers=fields | headers, redirect=False)

    def answers(self) -> bool:
        try:
            return self.ask("GET", "/").status < 500
        except urllib3.exceptions.HTTPError:
            return False


RUNS = "/sacristy/api/v1/Runs"


@pytest.mark.parametrize("login", ["", "scientist:wrong", "nobody:good-pw"])
def test_without_the_right_login_nothing_is_shown(front: Front, login: str) -> None:
    for path in ("/sacristy", RUNS, "/sacristy/api/v1/files/preview/1"):
        assert front.ask("GET", path, login).status == 401


def test_with_it_the_table_and_the_runs_are_there(front: Front) -> None:
    assert b"<div id=" in front.ask("GET", "/sacristy").data
    assert front.ask("GET", RUNS).status == 200


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused_before_they_reach_it(front: Front, method: str) -> None:
    assert front.ask(method, f"{RUNS}/1").status in (403, 405)


def test_this_sites_own_pages_may_write_and_others_may_not(front: Front) -> None:
    assert front.ask("GET", RUNS, Origin=front.address).status == 200
    assert front.ask("GET", RUNS, Origin="https://evil.example").status == 403


def test_previews_are_sandboxed_and_nothing_allows_other_sites(front: Front) -> None:
    preview = front.ask("GET", "/sacristy/api/v1/files/preview/0123456789abcdef01234567")
    assert preview.status == 404  # as published, the server would have ended
    assert preview.headers["Content-Security-Policy"].startswith("sandbox")
    assert preview.headers["X-Content-Type-Options"] == "nosniff"
    headers = front.ask("GET", RUNS).headers
    assert [name for name in headers if name.lower().startswith("access-control-")] == []
    assert "max-age" in headers["Strict-Transport-Security"]
