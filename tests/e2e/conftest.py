"""Clones of this repository with stacks of their own, for all stories of a session."""

import shutil
import subprocess
from types import SimpleNamespace

import pytest
from engine import BASE
from services.images.conftest import one_server  # noqa: F401 - the fixture
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


@pytest.fixture(scope="session")
def contained(engine, tmp_path_factory):
    """A clone whose models run as containers, with the environment image built and pushed."""
    folder = tmp_path_factory.mktemp("contained") / "project"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    made = Clone(folder, folder / ".sacristy")
    made.environment |= engine.environment | {"SACRISTY_TARGET": "docker", "SACRISTY_SERVING_BASE": BASE}
    try:
        made.run("init")
        environment = made.json("env", "build", "digits", timeout=600)["digits"]["image"]
        yield SimpleNamespace(clone=made, engine=engine, environment=environment)
    finally:
        made.run("down")
        shutil.rmtree(folder, ignore_errors=True)
