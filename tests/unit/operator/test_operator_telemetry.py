"""The operator's page: its answers, and those who connect and say nothing."""

import socket
from types import SimpleNamespace

import pytest

from sacristy.operator import telemetry

SERVER = SimpleNamespace(telemetry=SimpleNamespace(silent_s=1.0), limit_s=60.0)


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_question_is_answered_and_nobody_is_waited_for_for_ever(pair):
    ours, theirs = pair
    ours.sendall(b"GET /health HTTP/1.0\r\n\r\n")
    telemetry._Handler(theirs, ("there", 1), SERVER)
    assert ours.recv(4096).startswith(b"HTTP/1.0 200")
    assert theirs.gettimeout() == telemetry.SILENT_S


def test_who_says_nothing_is_let_go_without_a_word(pair, monkeypatch, capsys):
    monkeypatch.setattr(telemetry._Handler, "timeout", 0.01)
    telemetry._Handler(pair[1], ("there", 1), SERVER)
    assert capsys.readouterr().err == ""
