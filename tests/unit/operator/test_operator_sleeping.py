"""Which stages are due to sleep or to wake, and that the operator does it through all else that goes on."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from sacristy.names import Stage
from sacristy.operator import sleeping
from sacristy.operator.calls import Call, State
from sacristy.operator.decide import Do
from sacristy.operator.sleeping import Naps, due
from sacristy.targets.routes import Route, Share

KEY = ("news", Stage.PRODUCTION)
DIGEST = "sha256:" + "a" * 64
ROUTE = Route("http://news", "1", DIGEST, 1, "kubernetes", "news-production-0.aaaaaaaa", idle_s=60.0)


def decided(state, quiet_s=0.0, wanted=False, route=ROUTE, least_s=0.0):
    found = due(KEY, route, Call(state, quiet_s, wanted), least_s)
    return found.do if found else None


@pytest.mark.parametrize(
    ("state", "quiet_s", "wanted", "expected"),
    [
        (State.AWAKE, 30.0, True, None),
        (State.AWAKE, 61.0, True, Do.SLEEP),
        (State.FALLING, 1.0, True, Do.WAKE),  # asked while it was put to sleep
        (State.FALLING, 61.0, False, Do.SLEEP),  # whoever did so was killed
        (State.ASLEEP, 9999.0, False, None),
        (State.ASLEEP, 0.0, True, Do.WAKE),
        ("", 0.0, True, Do.WAKE),  # no operator knows it: waking it harms nobody
    ],
)
def test_it_sleeps_when_nobody_asks_and_wakes_when_somebody_does(state, quiet_s, wanted, expected):
    assert decided(state, quiet_s, wanted) == expected


def test_a_stage_sleeps_only_where_its_model_says_so_and_alone():
    canary = Route(**vars(ROUTE) | {"canary": Share(ROUTE, 10.0)})
    never = Route(**vars(ROUTE) | {"idle_s": 0.0})
    assert [decided(State.AWAKE, 999.0, route=route) for route in (canary, never)] == [None, None]


def test_it_sleeps_no_sooner_than_gateways_know_that_it_may():
    assert decided(State.AWAKE, 100.0, least_s=120.0) is None
    assert decided(State.AWAKE, 121.0, least_s=120.0) is Do.SLEEP


def test_where_no_stage_may_sleep_the_database_is_not_asked():
    naps = Naps(None)
    naps.look({"news": {"production": Route(**vars(ROUTE) | {"idle_s": 0.0})}})
    assert naps.due({}) == []


class Bed:
    """A yard whose target notes what is put to sleep and woken, and a lock and calls without a database."""

    def __init__(self, monkeypatch, quiet):
        self.done = []
        self.database, self.user = None, "tests"
        self.settings = SimpleNamespace(routes_file=None)
        self.target = SimpleNamespace(rest=lambda name, asleep: self.done.append((name, asleep)))
        monkeypatch.setattr(sleeping, "release_lock", lambda *_: nullcontext())
        monkeypatch.setattr(sleeping, "read_routes", lambda _: {"news": {"production": ROUTE}})
        monkeypatch.setattr(sleeping.calls, "fall", lambda *_: quiet)
        for word in ("fell", "awake"):
            monkeypatch.setattr(sleeping.calls, word, lambda *_, word=word: self.done.append(word))


def task(do, digest=DIGEST):
    return sleeping.Task(do, *KEY, digest, "why")


def test_it_is_not_put_to_sleep_if_somebody_has_asked_meanwhile(monkeypatch):
    bed = Bed(monkeypatch, quiet=False)
    Naps(None).perform(bed, task(Do.SLEEP))
    assert bed.done == []


def test_it_is_said_to_be_awake_only_when_it_was_woken(monkeypatch):
    bed = Bed(monkeypatch, quiet=True)
    Naps(None).perform(bed, task(Do.SLEEP))
    Naps(None).perform(bed, task(Do.WAKE))
    Naps(None).perform(bed, task(Do.WAKE, "sha256:" + "b" * 64))  # the stage has moved on
    assert bed.done == [(ROUTE.instance, True), "fell", (ROUTE.instance, False), "awake"]
