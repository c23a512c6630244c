"""How slowly a request may come."""

import socket

import pytest

from sacristy.serving import pace
from sacristy.serving.pace import GRACE_S, SLOWEST, PacedUnreader


@pytest.fixture
def sent(monkeypatch):
    """A connection with bytes that wait, and its clock: `clock[0]` is the time."""
    ours, theirs = socket.socketpair()
    clock = [100.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: clock[0])
    theirs.sendall(b"x" * 9000)
    yield PacedUnreader(ours), clock
    ours.close()
    theirs.close()


def test_within_its_grace_any_pace_will_do(sent):
    unreader, clock = sent
    unreader.mxchunk = 1
    unreader.chunk()
    clock[0] += GRACE_S
    assert unreader.chunk() == b"x"


def test_a_request_that_comes_too_slowly_is_given_up(sent):
    unreader, clock = sent
    unreader.mxchunk = 1
    unreader.chunk()
    clock[0] += GRACE_S + 3 / SLOWEST
    with pytest.raises(BlockingIOError, match="slower than 1024 bytes a second"):
        unreader.chunk()


def test_what_came_gives_more_time_but_not_for_ever(sent):
    unreader, clock = sent
    unreader.chunk()
    clock[0] += GRACE_S + 8192 / SLOWEST
    unreader.mxchunk = 1
    assert unreader.chunk() == b"x"
    clock[0] += 3 / SLOWEST
    with pytest.raises(BlockingIOError):
        unreader.chunk()


def test_the_next_request_has_its_own_time_from_its_first_byte_on(sent):
    unreader, clock = sent
    unreader.mxchunk = 1
    unreader.chunk()
    clock[0] += 1000
    unreader.begin()
    assert unreader.chunk() == b"x"
    clock[0] += GRACE_S
    assert unreader.chunk() == b"x"
