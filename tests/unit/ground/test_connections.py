from __future__ import annotations

import socket
from http.client import HTTPException

import pytest

from sacristy.connections import Connections, parse_head

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_head_is_status_ending_and_headers():
    head = b"HTTP/1.1 206 Partial Content\r\nETag: x\r\nContent-Length:5"
    assert parse_head(head) == (206, False, {"etag": "x", "content-length": "5"})


@pytest.mark.parametrize(
    ("version", "wish", "ends"),
    [("1.1", "close", True), ("1.1", "keep-alive", False), ("1.0", "", True), ("1.0", "Keep-Alive", False)],
)
def test_a_connection_ends_as_its_version_says(version, wish, ends):
    assert parse_head(f"HTTP/{version} 200 OK\r\nConnection: {wish}".encode())[1] == ends


@pytest.mark.parametrize("head", [b"", b"HTTP/2 200 OK", b"HTTP/1.1 OK", b"SSH-2.0-OpenSSH", b"HTTP/1.1 100 Continue"])
def test_what_is_no_head_is_refused(head):
    with pytest.raises(HTTPException):
        parse_head(head)


def asked(connection):
    assert connection.ask(b"GET / HTTP/1.1\r\n\r\n") == 200
    return connection


def test_an_answer_is_read_in_place_and_an_end_is_noticed(told):
    connection = asked(told(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"))
    room = bytearray(5)
    assert not connection.finished
    connection.read_into(memoryview(room))
    assert room == b"first"
    assert connection.finished
    assert not connection.quiet  # the other side ended: no other request goes this way


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole and more", False),
        (CHUNKED + b"2\r\nwh\r\n3;name=value\r\nole\r\n0\r\nTrailer: x\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\n\r\nwhole", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nwhole", False),
    ],
    ids=["a length", "more than its length", "chunks", "until its end", "HTTP/1.0"],
)
def test_a_body_comes_in_many_forms(told, content, kept):
    connection = asked(told(content))
    assert connection.read() == b"whole"
    assert connection.finished == kept


def test_an_answer_without_a_body_is_finished_at_once(told):
    connection = told(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert connection.ask(b"GET / HTTP/1.1\r\n\r\n") == 204
    assert connection.read() == b""
    assert connection.finished


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        CHUNKED,
        CHUNKED + b"9\r\nshort",
        CHUNKED + b"-5\r\nwhole",
        CHUNKED + b"123456789\r\n",
        b"x" * 70_000,
    ],
    ids=[
        "nothing",
        "half a head",
        "cut short",
        "no number",
        "too large",
        "more than Python reads as a number",
        "no chunk",
        "half a chunk",
        "odd",
        "huge",
        "noise",
    ],
)
def test_what_is_out_of_the_ordinary_is_an_error(told, content):
    with pytest.raises(HTTPException):
        asked(told(content)).read()


@pytest.mark.parametrize(
    "content",
    [CHUNKED + b"6\r\nlonger\r\n" * 2 + b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nlonger and longer"],
    ids=["chunks", "until its end"],
)
def test_no_more_than_the_limit_is_read_into_memory_in_whatever_form_it_comes(told, monkeypatch, content):
    monkeypatch.setattr("sacristy.connections.READ_LIMIT", 10)
    with pytest.raises(HTTPException, match="too large"):
        asked(told(content)).read()


def test_a_body_without_a_length_is_not_read_in_place(told):
    with pytest.raises(HTTPException):
        _ = asked(told(CHUNKED)).length


def test_who_does_not_answer_in_time_is_a_timeout_and_nobody_at_all_is_none():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TimeoutError), Connections(address, None, 1, 60).one(0.01) as connection:
            connection.ask(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(ConnectionRefusedError), Connections(address, None, 1, 60).one():
        pass
