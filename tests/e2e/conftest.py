"""A clone of this repository with a stack of its own, for all stories of a session."""

import shutil
import subprocess

import pytest
from story import ROOT, Clone


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clone") / "project"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    made = Clone(folder, folder / ".sacristy")
    made.run("init")
    yield made
    made.run("down")
    shutil.rmtree(folder, ignore_errors=True)
