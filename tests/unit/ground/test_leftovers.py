"""Whose a leftover is: only what a test process that is gone has made is taken away."""

import os
import subprocess
import sys

import pytest
from leftovers import is_abandoned, maker, own


@pytest.fixture
def gone():
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


@pytest.mark.parametrize(
    ("name", "pid"),
    [("sacristy-8322", 8322), ("sacristy-8322-x7_a", 8322), ("sacristy-gxn", None), ("sacristy-12ab", None)],
)
def test_a_name_says_who_made_it(name, pid):
    assert maker(name, "sacristy") == pid


def test_what_a_living_process_made_is_its_own(tmp_path):
    assert not is_abandoned(str(tmp_path / f"{own('rig')}x" / "run"), "rig")


def test_what_an_ended_process_made_is_nobodys(tmp_path, gone):
    folder = tmp_path / f"rig-{gone}-x" / "run"
    folder.mkdir(parents=True)
    assert is_abandoned(str(folder), "rig")


def test_a_strangers_is_nobodys_only_when_its_folder_is_gone(tmp_path):
    assert not is_abandoned(str(tmp_path), "rig")
    assert is_abandoned(str(tmp_path / "absent"), "rig")


def test_own_names_say_that_they_are_ours():
    assert maker(f"{own('rig')}x", "rig") == os.getpid()
