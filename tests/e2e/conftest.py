"""Clones of this repository with stacks of their own, for all stories of a session."""

import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import composed
import leftovers
import pytest
import rig
from engine import BASE
from lampshop import Shop
from services.conftest import mongod, mongod_program  # noqa: F401 - the fixtures
from services.images.conftest import one_server  # noqa: F401 - the fixture
from story import Clone


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clone") / "project"
    made = Clone.made(folder)
    made.run("init")
    yield made
    made.run("down")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def contained(engine, tmp_path_factory):
    """A clone whose models run as containers, with the environment image built and pushed."""
    folder = tmp_path_factory.mktemp("contained") / "project"
    made = Clone.made(folder)
    made.environment |= engine.environment | {"SACRISTY_TARGET": "docker", "SACRISTY_SERVING_BASE": BASE}
    try:
        made.run("init")
        environment = made.json("env", "build", "digits", timeout=600)["digits"]["image"]
        yield SimpleNamespace(clone=made, engine=engine, environment=environment)
    finally:
        made.run("down")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def stack(request, tmp_path_factory):
    """A composed stack of the class that a test names, up: its services healthy."""
    reason = composed.missing()
    if reason:
        pytest.skip(reason)
    made = request.param(tmp_path_factory.mktemp("composed"))
    try:
        made.first = made.site.json("up", "--compose", timeout=1700)
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def shop(request, tmp_path_factory):
    """A clone whose models run on a real cluster, pulled from a real registry."""
    reason = rig.missing()
    if reason:
        pytest.skip(reason)
    server, database = (request.getfixturevalue(name) for name in ("one_server", "mongod"))
    with tempfile.TemporaryDirectory(prefix=leftovers.own(rig.PREFIX)) as place:  # short: sockets lie in it
        cluster = rig.Rig(Path(place) / "run")
        try:
            folder = tmp_path_factory.mktemp("clustered") / "project"
            made = Shop(Clone.made(folder), cluster, server, database)
            made.open()
            yield made
            made.clone.run("down")
        finally:
            cluster.close()
