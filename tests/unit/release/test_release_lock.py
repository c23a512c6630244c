"""Whose release lock is given up: a process that is gone, whatever the clock says. No database."""

import os

import psutil
import pytest

from sacristy.release import lock


@pytest.fixture
def held():
    """A lock of this very process, renewed a moment ago."""
    return lock._lease("promotion", "ana") | {"silent_s": 1.0}


def test_of_a_process_that_lives_it_stays(held):
    assert not lock._is_abandoned(held)


def test_a_clock_that_is_set_makes_nobody_gone(held, monkeypatch):
    before = psutil.boot_time()
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: before + 3600)
    assert not lock._is_abandoned(held)


@pytest.mark.parametrize("other", [{"pid": 2**22 + 1}, {"after_boot_s": 1e9}, {"silent_s": lock.LEASE_S + 1.0}])
def test_of_one_that_is_gone_silent_or_another_by_now_it_is_given_up(held, other):
    assert lock._is_abandoned(held | other)


def test_of_another_machine_only_the_time_counts(held):
    elsewhere = held | {"host": "another", "pid": os.getpid(), "after_boot_s": 0.0}
    assert not lock._is_abandoned(elsewhere)
    assert lock._is_abandoned(elsewhere | {"silent_s": lock.LEASE_S + 1.0})
