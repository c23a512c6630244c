from __future__ import annotations

import socket

import pytest

from sacristy.connections import Connection


@pytest.fixture
def told():
    """Return a function that gives a connection whose other side says this, whatever it is asked, and ends."""
    streams = []

    def told(content):
        ours, theirs = socket.socketpair()
        streams.extend((ours, theirs))
        theirs.sendall(content)
        theirs.shutdown(socket.SHUT_WR)
        return Connection(ours)

    yield told
    for stream in streams:
        stream.close()
