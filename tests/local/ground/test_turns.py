"""Who waits for another process says so, and not for ever."""

import logging

import pytest

from sacristy.errors import StillTaken
from sacristy.turns import turn


@pytest.fixture
def lock(tmp_path):
    return tmp_path / "work.lock"


def test_who_waits_says_so(lock, caplog):
    with turn(lock, "the work"), pytest.raises(StillTaken), turn(lock, "the work", silent_s=0, longest_s=0.05):
        pytest.fail("two at once")
    assert "another process is at the work" in caplog.text


def test_a_lock_that_is_given_back_is_taken_next(lock, caplog):
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            with turn(lock, "the work"):
                pass
    assert not caplog.records


def test_who_waits_too_long_is_told_whom_to_look_for(lock):
    with turn(lock, "the work"), pytest.raises(StillTaken) as raised, turn(lock, "it", silent_s=0, longest_s=0.05):
        pytest.fail("two at once")
    assert f"fuser -v {lock}" in raised.value.advice
