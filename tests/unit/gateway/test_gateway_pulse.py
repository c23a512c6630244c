"""The operator is told who is asked: in a batch, at once where somebody waits, and again where it was not heard."""

import threading

from pymongo.errors import ServerSelectionTimeoutError

from sacristy.gateway import pulse
from sacristy.gateway.pulse import Pulse
from sacristy.names import Stage

KEY = ("news", Stage.PRODUCTION)


class Ear:
    """Hears what the operator is told; deaf the first few times."""

    def __init__(self, deaf=0):
        self.deaf, self.heard, self.told = deaf, [], threading.Event()

    def write(self, _, asked):
        if self.deaf:
            self.deaf -= 1
            raise ServerSelectionTimeoutError("away")
        self.heard.append(asked)
        self.told.set()


def test_many_questions_are_one_word_and_who_waits_is_told_at_once():
    ear = Ear()
    made = Pulse(lambda: None, ear.write)
    for _ in range(100):
        made.note(*KEY)
    made.note("digits", Stage.STAGING, urgent=True)
    assert ear.told.wait(5)
    made.close()
    assert set().union(*ear.heard) == {KEY, ("digits", Stage.STAGING)}


def test_what_was_not_heard_is_said_again(monkeypatch, caplog):
    monkeypatch.setattr(pulse, "EVERY_S", 0.001)
    ear = Ear(deaf=2)
    made = Pulse(lambda: None, ear.write)
    made.note(*KEY, urgent=True)
    assert ear.told.wait(5)
    made.close()
    assert ear.heard == [{KEY}]
    assert "cannot be told who is asked: ServerSelectionTimeoutError" in caplog.text


def test_nothing_asked_is_nothing_said():
    ear = Ear()
    made = Pulse(lambda: None, ear.write)
    made.close()
    assert ear.heard == []
