"""What a real Gunicorn with our worker does with a client that sends one byte after another."""

import socket
import subprocess
import sys
import time

import pytest

SETTINGS = """
from sacristy.serving import pace
pace.GRACE_S = 1.0
worker_class = "sacristy.serving.worker.Worker"
threads = 1
control_socket_disable = True
"""
APP = """
def answer(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
WITHIN_S = 20


@pytest.fixture
def server(tmp_path):
    (tmp_path / "settings.py").write_text(SETTINGS)
    (tmp_path / "app.py").write_text(APP)
    words = ["--config", "settings.py", "--bind", "unix:socket", "app:answer"]
    process = subprocess.Popen([sys.executable, "-m", "gunicorn", *words], cwd=tmp_path, stderr=subprocess.DEVNULL)
    yield lambda: connected(str(tmp_path / "socket"))
    process.terminate()
    process.wait(timeout=WITHIN_S)


def connected(path):
    deadline = time.monotonic() + WITHIN_S
    while True:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(WITHIN_S)
        try:
            client.connect(path)
            return client
        except OSError:
            client.close()
            assert time.monotonic() < deadline
            time.sleep(0.05)


def ask(client):
    """Ask for the two letters, and return all that came with them."""
    client.sendall(REQUEST)
    answer = b""
    while not answer.endswith(b"ok"):
        answer += client.recv(1024) or b"ended, ok"
    return answer


def dripped(client):
    """Send headers without end, a few bytes at a time; return when the other side had enough."""
    client.sendall(b"GET / HTTP/1.1\r\n")
    start = time.monotonic()
    while time.monotonic() < start + WITHIN_S:
        try:
            client.sendall(b"a: b\r\n")
        except OSError:
            return time.monotonic() - start
        time.sleep(0.1)
    raise AssertionError("it is still listened to")


def test_a_client_that_drips_keeps_the_only_thread_for_its_grace_only(server):
    with server() as dripping, server() as other:
        took_s = dripped(dripping)
        assert ask(other).startswith(b"HTTP/1.1 200")
    assert took_s > 0.5


def test_one_request_after_another_has_its_own_time(server):
    with server() as client:
        for _ in range(4):
            assert ask(client).startswith(b"HTTP/1.1 200")
            time.sleep(0.5)
