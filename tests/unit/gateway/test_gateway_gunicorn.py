"""Gunicorn's settings for the gateway: what users reach waits for no one of them for long."""

from __future__ import annotations

import logging
import socket
import struct
import sys
from types import SimpleNamespace

import pytest

from sacristy.gateway import gunicorn
from sacristy.serving.body import PAUSE_S


@pytest.fixture
def server() -> SimpleNamespace:
    """What Gunicorn gives its hooks, with one listening socket."""
    listener = socket.create_server(("127.0.0.1", 0))
    yield SimpleNamespace(
        LISTENERS=[SimpleNamespace(sock=listener)], log=SimpleNamespace(error_log=logging.Logger("x"))
    )
    listener.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere options are not inherited")
def test_a_client_that_stops_in_the_middle_of_a_request_keeps_no_thread(server: SimpleNamespace) -> None:
    gunicorn.when_ready(server)
    listener = server.LISTENERS[0].sock
    with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            assert struct.unpack("ll", accepted.getsockopt(socket.SOL_SOCKET, option, 16)) == (PAUSE_S, 0)


def test_such_a_client_is_logged_in_one_line(server: SimpleNamespace) -> None:
    gunicorn.when_ready(server)
    fault = (BlockingIOError, BlockingIOError(11, "again"), None)
    record = logging.LogRecord("x", logging.ERROR, "", 0, "Socket error processing request.", (), fault)
    assert server.log.error_log.filter(record)
    assert (record.exc_info, "stopped in the middle" in record.msg) == (None, True)
