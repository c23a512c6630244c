"""Who was asked and who sleeps, in a real MongoDB, each side with the rights of its own user."""

import threading

import pytest
from pymongo.errors import OperationFailure

from sacristy.gateway.pulse import Pulse
from sacristy.names import Stage
from sacristy.operator import calls
from sacristy.operator.calls import COLLECTION, State
from sacristy.settings import Role

KEY = ("news", Stage.PRODUCTION)


@pytest.fixture
def sides(mongod):
    """The operator's database and the gateway's."""
    mongod.database(Role.ADMIN)[COLLECTION].delete_many({})
    return mongod.database(Role.SERVICE), mongod.database(Role.GATEWAY)


def test_a_stage_that_is_asked_does_not_fall_asleep_and_one_that_is_not_does(sides):
    operator, gateway = sides
    calls.awake(operator, KEY)
    calls.ask(gateway, [KEY])
    assert not calls.fall(operator, KEY, 60.0)
    assert calls.read(operator)[KEY].state == State.AWAKE
    threading.Event().wait(0.02)
    assert calls.fall(operator, KEY, 0.01)
    calls.fell(operator, KEY)
    found = calls.read(operator)[KEY]
    assert (found.state, found.wanted, calls.asleep(gateway)) == (State.ASLEEP, False, {KEY})


def test_who_asks_while_it_falls_asleep_wakes_it(sides):
    operator, gateway = sides
    calls.awake(operator, KEY)
    threading.Event().wait(0.02)
    assert calls.fall(operator, KEY, 0.01)
    calls.ask(gateway, [KEY])
    calls.fell(operator, KEY)
    assert calls.read(operator)[KEY].wanted
    calls.awake(operator, KEY)
    assert calls.read(operator)[KEY].state == State.AWAKE


def test_one_that_no_operator_knows_yet_is_wanted_and_cannot_fall(sides):
    operator, gateway = sides
    calls.ask(gateway, [KEY])
    found = calls.read(operator)[KEY]
    assert (found.state, found.wanted) == ("", True)
    assert not calls.fall(operator, KEY, 0.0)


def test_to_begin_with_it_is_awake_and_what_is_known_stays(sides):
    operator, _ = sides
    calls.begin(operator, KEY)
    assert calls.read(operator)[KEY].state == State.AWAKE
    threading.Event().wait(0.02)
    assert calls.fall(operator, KEY, 0.01)
    calls.begin(operator, KEY)
    assert calls.read(operator)[KEY].state == State.FALLING


def test_a_gateway_may_say_that_a_stage_is_asked_and_not_forget_it(sides):
    _, gateway = sides
    pulse = Pulse(lambda: gateway)
    pulse.note(*KEY, urgent=True)
    pulse.close()
    assert gateway[COLLECTION].find_one({"_id": "news:production"})["asked"]
    with pytest.raises(OperationFailure):
        gateway[COLLECTION].delete_many({})
