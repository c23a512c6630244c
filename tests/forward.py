"""A port at another address of this machine that hands everything on: for pods, which do not reach its loopback."""

import contextlib
import socket
import socketserver
import threading


class Forward(socketserver.ThreadingTCPServer):
    """Listens until closed. `port`: where."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, host, target):
        self.target = target
        super().__init__((host, 0), _Connection)
        self.port = self.server_address[1]
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self):
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Connection(socketserver.BaseRequestHandler):
    def handle(self):
        with socket.create_connection(self.server.target) as there:
            back = threading.Thread(target=_pump, args=(there, self.request), daemon=True)
            back.start()
            _pump(self.request, there)
            back.join()


def _pump(source, target):
    """Hand on what comes until there is no more, then say so."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
