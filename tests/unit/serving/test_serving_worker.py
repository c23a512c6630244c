"""How long a thread stays with a connection."""

import io
import socket
from queue import SimpleQueue
from types import SimpleNamespace

import pytest
from gunicorn.workers.gthread import ThreadWorker

from sacristy.serving import worker as workers
from sacristy.serving.worker import Worker


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def worker(threads=4, queued=(), alive=True):
    made = object.__new__(Worker)
    queue = SimpleQueue()
    for job in queued:
        queue.put(job)
    made.alive, made.cfg, made.tpool = alive, SimpleNamespace(threads=threads), SimpleNamespace(_work_queue=queue)
    made._seats = workers.seats(threads)
    return made


def connection(ours, rest=b""):
    unreader = SimpleNamespace(buf=io.BytesIO(rest), begin=lambda: None)
    return SimpleNamespace(sock=ours, is_http2=False, parser=SimpleNamespace(unreader=unreader))


@pytest.fixture
def served(monkeypatch, pair):
    """Let Gunicorn's own `handle` take one byte for a request; return what it took."""
    taken = []

    def handle(_, conn):
        taken.append(conn.sock.recv(1))
        return taken[-1] != b"."

    monkeypatch.setattr(ThreadWorker, "handle", handle)
    monkeypatch.setattr(workers, "STAYS", 1)
    return taken


def test_requests_that_come_soon_are_answered_by_the_thread_that_is_there(pair, served):
    ours, theirs = pair
    theirs.sendall(b"abc")
    assert worker().handle(connection(ours)) is True  # the connection goes back to who watches the quiet ones
    assert served == [b"a", b"b", b"c"]


def test_a_connection_that_ended_is_not_waited_for(pair, served):
    ours, theirs = pair
    theirs.sendall(b"a.b")
    assert worker().handle(connection(ours)) is False
    assert served == [b"a", b"."]


@pytest.mark.parametrize(
    "other",
    [{"threads": 1}, {"queued": ["somebody waits for a thread"]}, {"alive": False}],
    ids=["the only thread", "others wait", "it ends"],
)
def test_nobody_stays_where_the_thread_is_wanted(pair, served, other):
    ours, theirs = pair
    theirs.sendall(b"ab")
    assert worker(**other).handle(connection(ours)) is True
    assert served == [b"a"]


def test_at_most_half_of_the_threads_stay(pair, served):
    ours, theirs = pair
    theirs.sendall(b"ab")
    busy = worker(threads=2)
    assert busy._seats.acquire(blocking=False)
    assert busy.handle(connection(ours)) is True
    assert served == [b"a"]


def test_what_was_read_ahead_is_left_to_gunicorn(pair, served):
    ours, theirs = pair
    theirs.sendall(b"ab")
    assert worker().handle(connection(ours, rest=b"GET")) is True
    assert served == [b"a"]
