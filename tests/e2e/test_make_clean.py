"""`make clean` after everything was started: nothing runs, nothing is left."""

import os
import subprocess

import psutil
import pytest
from story import SACRISTY, Clone


@pytest.fixture
def used(tmp_path):
    """A clone whose stack runs, with the environment of this checkout."""
    folder = tmp_path / "project"
    made = Clone.made(folder)
    (folder / ".venv").symlink_to(SACRISTY.parents[1])
    made.run("up")
    yield made
    made.run("down")


def processes_of(folder):
    """Return the command lines of all processes that name a folder or stand in it."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), process.cwd()]
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(str(folder) in word for word in words):
            found.append(words)
    return found


def test_clean_leaves_no_trace(used):
    assert processes_of(used.folder)
    subprocess.run(["make", "clean"], cwd=used.folder, env=used.environment, check=True, capture_output=True)
    assert processes_of(used.folder) == []
    left = subprocess.run(
        ["git", "status", "--porcelain", "--ignored"], cwd=used.folder, check=True, capture_output=True, text=True
    )
    assert left.stdout == ""
