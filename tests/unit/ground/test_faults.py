"""Fault points do nothing unless asked for, and are all listed."""

import subprocess
import sys

import pytest

from sacristy import faults


def test_without_the_variable_nothing_happens(monkeypatch):
    monkeypatch.delenv(faults.VARIABLE, raising=False)
    for action, steps in faults.STEPS.items():
        for step in steps:
            faults.reach(action, step)


def test_a_step_that_is_not_listed_is_told_to_the_developer():
    with pytest.raises(ValueError, match=r"deploy\.lunch"):
        faults.reach("deploy", "lunch")


@pytest.mark.parametrize("asked", ["promote.moved", "promote.noted"])
def test_the_process_dies_at_the_step_that_was_asked_for(asked):
    code = "from sacristy.faults import reach; reach('promote', 'moved'); print('on')"
    done = subprocess.run([sys.executable, "-c", code], env={faults.VARIABLE: asked}, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == ((faults.EXIT_CODE, "") if asked == "promote.moved" else (0, "on\n"))
