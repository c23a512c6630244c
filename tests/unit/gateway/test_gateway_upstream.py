from __future__ import annotations

import socket
import threading

import pytest

from sacristy.gateway.upstream import NotAnswered, Servers, TooSlow, ask, head_of, is_ready

ANSWER = b"HTTP/1.1 200 OK\r\nX-Sacristy-Version: v3\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def server():
    """Return a function that starts a server which answers each request so, and gives its address and what it heard."""
    sockets, threads = [], []

    def server(*answers):
        listening = socket.create_server(("127.0.0.1", 0))
        heard = []
        sockets.append(listening)

        def serve():
            connection, _ = listening.accept()
            listening.close()
            with connection:
                for answer in answers:
                    heard.append(connection.recv(65536))
                    connection.sendall(answer)

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[-1].start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}", heard

    yield server
    for listening in sockets:
        listening.close()
    for thread in threads:
        thread.join(5)


def test_two_questions_go_over_one_connection(server):
    url, heard = server(ANSWER, ANSWER)
    answers = [ask("POST", f"{url}/predict", b"[1]", {"Accept": "*/*"}) for _ in range(2)]
    assert [(answer.status, answer.headers["x-sacristy-version"], answer.body) for answer in answers] == [
        (200, "v3", b"{}")
    ] * 2
    head, _, body = heard[0].partition(b"\r\n\r\n")
    assert head.splitlines()[0] == b"POST /predict HTTP/1.1"
    assert set(head.splitlines()[1:]) == {f"host: {url[7:]}".encode(), b"content-length: 3", b"Accept: */*"}
    assert body == b"[1]"


def test_a_server_that_ends_its_connections_is_asked_over_a_new_one(server):
    url, _ = server(ANSWER)
    assert ask("GET", f"{url}/", None, {}).status == 200
    with pytest.raises(NotAnswered):  # nobody takes a second connection there, and the first has ended
        ask("GET", f"{url}/", None, {}, read_s=5)


def test_nobody_there_and_too_slow_are_told_apart(server):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TooSlow):
            ask("GET", f"{url}/", None, {}, read_s=0.01)
    with pytest.raises(NotAnswered, match="refused"):
        ask("GET", f"{url}/", None, {})
    assert not is_ready(url)


def test_ready_is_whoever_says_so(server):
    assert is_ready(server(ANSWER)[0])
    assert not is_ready(server(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")[0])


def test_the_servers_asked_least_lately_are_let_go():
    servers = Servers(most=2)
    first, second = servers.to("http://a"), servers.to("http://b")
    assert servers.to("http://a") is first
    servers.to("http://c")
    assert servers.to("http://a") is first
    assert servers.to("http://b") is not second


@pytest.mark.parametrize(("path", "header"), [("/a b", "x"), ("/a\r\nX: y", "x"), ("/", "x\r\ny: z"), ("", "x")])
def test_nothing_of_a_request_leaves_its_line(path, header):
    with pytest.raises(ValueError, match="not a"):
        head_of("GET", "host", path, None, {"Accept": header})
