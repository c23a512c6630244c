"""A site without a network: a bundle is made here, carried there, and all that is needed comes out of it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import leftovers
import pytest
from carried import bare_environment, set_up
from engine import BASE, Engine
from lamps import add_lamp
from story import Clone

pytestmark = [pytest.mark.bundle, pytest.mark.timeout(900)]


class Site:
    """A machine that reaches nobody: a network namespace with nothing but its loopback, an engine, an empty home."""

    def __init__(self, folder):
        self.folder, self.name = folder, f"cut-{os.getpid()}"
        self.project = folder / "project"
        folder.mkdir()
        leftovers.clear_hosts()
        for words in (("netns", "add", self.name), ("-n", self.name, "link", "set", "lo", "up")):
            subprocess.run(["ip", *words], check=True)
        self.engine = Engine(folder / "engine", ("nsenter", f"--net=/run/netns/{self.name}"))

    def run(self, *argv, code=0, folder=None):
        """Run a program there; return what it printed on its two streams."""
        done = subprocess.run(
            ["nsenter", f"--net=/run/netns/{self.name}", *map(str, argv)],
            cwd=folder or self.folder,
            env=bare_environment(self.folder) | self.engine.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout, done.stderr

    def sacristy(self, *words, code=0):
        return self.run(self.project / ".venv" / "bin" / "sacristy", *words, code=code, folder=self.project)

    def json(self, *words):
        return json.loads(self.sacristy(*words, "--json")[0])

    def close(self):
        self.engine.close()
        subprocess.run(["ip", "netns", "delete", self.name], check=True)


@pytest.fixture(scope="module")
def carried(engine, tmp_path_factory):
    """What `bundle make` printed, of a bundle with one image and the packages of the stack and of one model."""
    folder = tmp_path_factory.mktemp("bundling")
    clone = Clone.made(folder / "project")
    clone.environment |= engine.environment
    add_lamp(clone, lean=True)
    words = ("--no-images", "--image", BASE, "--model", "lamp", "--debian", "hello")
    yield clone.json("bundle", "make", str(folder / "bundle"), *words)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def site(carried, tmp_path_factory):
    """A site on which the project was set up from the bundle alone."""
    site = Site(tmp_path_factory.mktemp("cut") / "site")
    try:
        set_up(site.run, Path(carried["folder"]), site.project)
        site.sacristy("init")
        yield site
    finally:
        site.close()


@pytest.fixture(scope="module")
def loaded(site, carried):
    return site.json("bundle", "load", carried["folder"], "--digest", carried["manifest"])


def test_a_damaged_bundle_is_refused_before_anything_is_taken(site, carried):
    wheel = next((Path(carried["folder"]) / "wheels").glob("numpy-*.whl"))
    sound = wheel.read_bytes()
    try:
        wheel.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
        said = site.sacristy("bundle", "load", carried["folder"], code=1)[1]
    finally:
        wheel.write_bytes(sound)
    assert f"error: {wheel}" in said
    assert "nothing was loaded" in said
    assert "Traceback" not in said
    assert site.engine.docker("images", "--quiet") == ""
    assert not (site.project / ".sacristy" / "bundle").exists()


def test_an_image_has_there_the_digest_that_it_has_here(engine, site, carried, loaded):
    here, there = (json.loads(each.docker("image", "inspect", BASE))[0] for each in (engine, site.engine))
    assert loaded["images_loaded"] == [BASE]
    assert there["Id"] == here["Id"] == carried["images"][0]["id"]
    assert there["RootFS"]["Layers"] == here["RootFS"]["Layers"]


def test_the_stack_comes_up_and_a_model_is_trained_where_nobody_is_reached(site, loaded):
    site.run(sys.executable, "-c", "import socket; socket.create_connection(('192.0.2.1', 80), 3)", code=1)
    try:
        assert all(state["ready"] for state in site.json("up").values())
        site.sacristy("train", "lamp")
        site.sacristy("build", "lamp")
    finally:
        site.sacristy("down")


def test_an_environment_image_is_built_from_what_was_brought(site, loaded):
    built = site.json("env", "build", "lamp", "--base", BASE)
    assert built["lamp"]["image"].startswith("env-")


def test_loaded_again_nothing_is_new(site, carried, loaded):
    again = site.json("bundle", "load", carried["folder"])
    assert (again["images_loaded"], again["images_present"]) == ([], [BASE])


def test_debians_packages_install_on_a_host_without_a_network(site, carried, loaded):
    source = "deb [trusted=yes] file:/bundle/debian ./"
    script = f"echo '{source}' > /etc/apt/sources.list && apt-get update -q && apt-get install -qy hello && hello"
    mounted = ("--volume", f"{carried['folder']}:/bundle:ro", "--network", "none")
    assert "Hello, world!" in site.engine.docker("run", "--rm", *mounted, BASE, "sh", "-c", script)
