"""How the operator asks the registry: all in turn, what moved at once, and not at all for a while when it is away."""

import pytest
from bson import ObjectId

from sacristy.errors import InvalidImage, RegistryAway
from sacristy.names import Stage
from sacristy.operator.watch import Watch

MODELS = [f"m{number}" for number in range(60)]


class Moves:
    """The collection `promotions`, which is asked one question."""

    def __init__(self):
        self.events = []

    def __getitem__(self, _):
        return self

    def find(self, query, _):
        return [event for event in self.events if event["_id"] >= query["_id"]["$gte"]]


class Stages:
    """A registry that counts whom it was asked for."""

    def __init__(self):
        self.asked, self.away, self.damaged, self.digest = [], False, "", "one"

    def stages(self, model):
        self.asked.append(model)
        if self.away:
            raise RegistryAway(location="there", reason="gone")
        if model == self.damaged:
            raise InvalidImage(reference=f"{model}/index.json", reason="a document that is not JSON")
        return {Stage.PRODUCTION: self.digest}


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def parts():
    registry, moves, clock = Stages(), Moves(), Clock()
    return Watch(registry, moves, sweep_s=30.0, clock=clock), registry, moves, clock


def test_at_first_all_are_asked_for_and_then_each_once_in_a_sweep(parts):
    watch, registry, _, clock = parts
    watch.look(MODELS)
    assert sorted(registry.asked) == sorted(MODELS)
    registry.asked.clear()
    for _ in range(30):
        clock.now += 1
        watch.look(MODELS)
    assert sorted(registry.asked) == sorted(MODELS)


def test_a_recorded_move_is_asked_for_at_once_until_it_ended(parts):
    watch, registry, moves, _ = parts
    watch.look(MODELS)
    registry.asked.clear()
    event = {"_id": ObjectId(), "model": "m7", "state": "moving"}
    moves.events.append(event)
    for state, asked in (("moving", ["m7"]), ("moving", ["m7"]), ("done", ["m7"]), ("done", [])):
        event["state"] = state
        registry.asked.clear()
        watch.look(MODELS)
        assert registry.asked == asked


def test_a_registry_that_is_away_is_left_alone_ever_longer_and_nothing_is_forgotten(parts):
    watch, registry, _, clock = parts
    watch.look(MODELS)
    registry.away = True
    registry.asked.clear()
    for _ in range(120):
        clock.now += 1
        watch.look(MODELS)
    assert 3 <= len(registry.asked) <= 9
    assert "gone" in watch.away
    assert len(watch.wishes) == len(MODELS)


def test_that_the_registry_is_away_is_said_as_often_as_it_is_asked(parts, caplog):
    watch, registry, _, clock = parts
    registry.away = True
    for _ in range(120):
        clock.now += 1
        watch.look(MODELS)
    assert len(caplog.messages) == len(registry.asked)
    assert "gone" in caplog.messages[0]


def test_when_it_is_back_what_moved_meanwhile_is_seen(parts):
    watch, registry, moves, clock = parts
    watch.look(MODELS)
    registry.away = True
    moves.events.append({"_id": ObjectId(), "model": "m7", "state": "done"})
    clock.now += 1
    watch.look(MODELS)
    registry.away, registry.digest = False, "two"
    clock.now += 100
    watch.look(MODELS)
    assert watch.wishes["m7", Stage.PRODUCTION] == "two"
    assert watch.away == ""


def test_a_stage_that_points_at_nothing_any_more_is_no_wish(parts):
    watch, registry, _, _ = parts
    watch.look(["m0"])
    registry.stages = lambda _: {}
    watch.look(["m0"], whole=True)
    assert watch.wishes == {}


def test_a_model_that_cannot_be_read_holds_up_no_other_and_stays_known(parts, caplog):
    watch, registry, _, clock = parts
    watch.look(MODELS)
    registry.damaged, registry.digest = "m7", "two"
    clock.now += 30
    watch.look(MODELS)
    assert {key[0]: digest for key, digest in watch.wishes.items()} == dict.fromkeys(MODELS, "two") | {"m7": "one"}
    assert "m7: image m7/index.json is refused" in caplog.text
    assert watch.away == ""
