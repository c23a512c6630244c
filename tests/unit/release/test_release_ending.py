"""The check that an ending instance answers what it was asked before, against servers that do and do not."""

import socket
import threading

import pytest

from sacristy.release import ending
from sacristy.release.ending import status_when_ended

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
BODY = b'{"instances": [[1, 2, 3]]}'


class Server:
    """Reads one request to its end and answers, or closes the connection when it is told to end."""

    def __init__(self, graceful):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.graceful, self.told = graceful, threading.Event()
        self.taken = threading.Event()
        self.received = b""
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        with self.listener.accept()[0] as connection:
            self.taken.set()
            while not self.received.endswith(BODY[-5:]):
                if self.told.is_set() and not self.graceful:
                    return
                self.received += connection.recv(1 if not self.graceful else 65536)
            connection.sendall(OK)

    def stop(self):
        self.taken.wait(5)
        self.told.set()
        self.listener.close()
        if self.graceful:
            self.thread.join()


@pytest.mark.parametrize(("graceful", "status"), [(True, 200), (False, 0)])
def test_a_request_in_flight_is_answered_or_its_loss_is_seen(graceful, status, monkeypatch):
    monkeypatch.setattr(ending, "TAKEN_AFTER_S", 0.05)
    server = Server(graceful)
    assert status_when_ended(server.url, BODY, server.stop) == status
    assert server.told.is_set()
    server.thread.join()
    if graceful:
        assert server.received.endswith(BODY)


def test_an_instance_that_is_gone_cannot_be_asked():
    with pytest.raises(OSError, match="refused"):
        status_when_ended("http://127.0.0.1:9", BODY, lambda: None)
