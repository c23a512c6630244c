"""A clone of this repository with a stack of its own, for all stories of a session."""

import shutil
import subprocess
from types import SimpleNamespace

import pytest
from engine import BASE
from services.images.conftest import Server, one_server  # noqa: F401 - the fixture
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
    """A clone whose models run as containers, with a registry over HTTPS and the environment image built and pushed."""
    folder = tmp_path_factory.mktemp("contained")
    (folder / "registry").mkdir()
    server = Server(folder / "registry")
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder / "project")], check=True)
    made = Clone(folder / "project", folder / "project" / ".sacristy")
    made.environment |= engine.environment | {
        "SACRISTY_TARGET": "docker",
        "SACRISTY_SERVING_BASE": BASE,
        "SACRISTY_REGISTRY": server.url,
        "SACRISTY_REGISTRY_USER": "ci",
        "SACRISTY_REGISTRY_PASSWORD": server.password,
        "SACRISTY_REGISTRY_CA": str(server.ca),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    server.start()
    try:
        made.run("init")
        environment = made.json("env", "build", "digits")["digits"]["image"]
        yield SimpleNamespace(clone=made, engine=engine, server=server, environment=environment)
    finally:
        made.run("down")
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
