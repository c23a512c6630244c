"""How an archive gets through the guard to the engine: in chunks, and without its end if it is refused."""

import io
import socket
import threading

import pytest
from archives import BAD, GOOD, assembled

from sacristy.stack.composed.chunked import LAST, Chunked, Cut, in_chunks
from sacristy.stack.composed.guard import Guard


@pytest.mark.parametrize("sizes", [[], [1], [5, 70_000, 3]])
def test_chunks_are_read_as_they_are_written(sizes):
    body = [bytes([size % 256]) * size for size in sizes]
    stream = io.BufferedReader(io.BytesIO(b"".join(in_chunks([b"", *body, b""])) + b"GET / HTTP/1.1\r\n"))
    with io.BufferedReader(Chunked(stream)) as read:
        assert read.read() == b"".join(body)
    assert stream.read() == b"GET / HTTP/1.1\r\n"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"5\r\nab",
        b"2\r\nab\r\n",
        b"2\r\nab\r\n0\r\n",
        b"2\r\nabc\r\n0\r\n\r\n",
        b"2;x=y\r\nab\r\n0\r\n\r\n",
        b"+2\r\nab\r\n0\r\n\r\n",
        b"0x2\r\nab\r\n0\r\n\r\n",
        b"2\nab\n0\n\n",
        b"fffffffff\r\n",
        b"0\r\nX: y\r\n\r\n",
    ],
)
def test_other_framing_is_no_end(body):
    with pytest.raises(Cut):
        io.BufferedReader(Chunked(io.BufferedReader(io.BytesIO(body)))).read()


HEAD = b"POST /v1.41/images/load?quiet=1 HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n"
IN_CHUNKS = HEAD % b"Transfer-Encoding: chunked"


def asked(tmp_path, request, *, end=True):
    """What a guard answers, and what the engine behind it got."""
    got = []
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(str(tmp_path / "engine"))
        there.listen()
        engine = threading.Thread(target=answer_one, args=(there, got), daemon=True)
        engine.start()
        with Guard(str(tmp_path / "engine"), tmp_path / "docker.sock", "models") as guard:
            threading.Thread(target=guard.serve_forever, args=(0.01,), daemon=True).start()
            said = talk(tmp_path / "docker.sock", request, end)
            guard.shutdown()
        there.shutdown(socket.SHUT_RDWR)
        engine.join(10)
    return said, b"".join(got)


def answer_one(there, got):
    try:
        connection, _ = there.accept()
    except OSError:
        return
    with connection:
        while part := connection.recv(1 << 16):
            got.append(part)
            if b"".join(got).endswith(LAST):
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nLoaded")
                return


def talk(path, request, end):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(request)
        if end:
            client.shutdown(socket.SHUT_WR)
        said = b""
        while part := client.recv(1 << 16):
            said += part
        return said


def test_the_guard_hands_a_good_archive_to_the_engine_and_the_answer_back(tmp_path):
    archive = assembled()
    said, got = asked(tmp_path, IN_CHUNKS + b"".join(in_chunks([archive])) + b"POST /more", end=False)
    head, _, body = got.partition(b"\r\n\r\n")
    assert said.endswith(b"Loaded")
    assert b"Transfer-Encoding: chunked" in head
    assert b"Content-Length" not in head
    assert io.BufferedReader(Chunked(io.BufferedReader(io.BytesIO(body)))).read() == archive
    assert body.endswith(LAST)


@pytest.mark.parametrize(
    "bad", ["a service's name", "manifest twice", "manifest as a link", "an OCI layout", "compressed by gzip"]
)
def test_the_guard_cuts_a_bad_one_and_says_why(tmp_path, bad):
    said, got = asked(tmp_path, IN_CHUNKS + b"".join(in_chunks([BAD[bad]])), end=False)
    assert said.startswith(b"HTTP/1.1 403")
    assert b"an archive is not loaded" in said
    assert b"manifest.json" not in got
    assert LAST not in got


def test_one_that_the_client_leaves_unfinished_is_cut_too(tmp_path):
    said, got = asked(tmp_path, (IN_CHUNKS + b"".join(in_chunks([GOOD])))[: -len(LAST)])
    assert b"ends in the middle" in said
    assert b"manifest.json" not in got


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: %d" % len(GOOD),
        b"Transfer-Encoding: chunked\r\nContent-Length: 5",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        b"Accept: */*",
    ],
)
def test_one_that_does_not_come_in_chunks_reaches_no_engine(tmp_path, headers):
    said, got = asked(tmp_path, HEAD % headers)
    assert b"does not come in chunks" in said
    assert got == b""
