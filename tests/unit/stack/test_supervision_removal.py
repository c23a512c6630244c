"""A program that ends by itself while it is removed."""

from __future__ import annotations

import xmlrpc.client
from contextlib import contextmanager

from sacristy.settings import Settings
from sacristy.supervision import Supervisor, rpc


class Ending:
    """Supervisord's functions, of a program that has just ended: it is started again right after the first stop."""

    def __init__(self):
        self.runs, self.there, self.stops = False, True, 0

    def stopProcess(self, name):
        self.stops += 1
        ran, self.runs = self.runs, self.stops == 1
        if not ran:
            raise xmlrpc.client.Fault(rpc.NOT_RUNNING, name)

    def removeProcessGroup(self, name):
        if self.runs:
            raise xmlrpc.client.Fault(rpc.STILL_RUNNING, name)
        self.there = False


def test_what_was_started_again_between_stop_and_removal_is_stopped_once_more(tmp_path, monkeypatch):
    supervisor, ending = Supervisor(Settings(project=tmp_path, home=tmp_path / "home")), Ending()

    @contextmanager
    def asked(*_):
        yield ending

    monkeypatch.setattr(supervisor, "_ask", asked)
    monkeypatch.setattr(supervisor, "states", lambda: {"lamp": ending} if ending.there else {})
    supervisor.remove("lamp")
    assert (ending.there, ending.stops) == (False, 2)
