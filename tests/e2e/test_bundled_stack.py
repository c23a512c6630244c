"""What a bundle of the whole composed stack brings to a host that reaches nobody, besides the stack's own story."""

import shutil
import socket
import sys

import pytest
from carried import DATA, HOST_PACKAGES, Carried
from engine import BASE

STACKS = [pytest.param(Carried, marks=pytest.mark.bundle, id="carried")]
pytestmark = [pytest.mark.parametrize("stack", STACKS, indirect=True), pytest.mark.timeout(3600)]
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)"


def test_nobody_is_reached_from_there(stack):
    outside = stack.host.address.rpartition(".")[0] + ".1"
    with socket.create_server((outside, 0)) as server:
        for place in ((outside, server.getsockname()[1]), ("192.0.2.1", 80)):
            with pytest.raises(AssertionError, match=r"TimeoutError|unreachable"):
                stack.run(sys.executable, "-c", CONNECT, *place)


def test_every_image_that_runs_came_in_the_bundle_with_the_digest_that_it_had(stack):
    there = {image["name"]: image["id"] for image in stack.bundle["images"]}
    assert sorted(stack.loaded["images_loaded"]) == sorted(there)
    running = stack.containers().values()
    assert {each["Config"]["Image"] for each in running} == there.keys() - {BASE}
    assert {each["Image"] for each in running} <= set(there.values())


def test_loaded_again_nothing_is_new(stack):
    again = stack.load(stack.site)
    assert again["images_loaded"] == []
    assert sorted(again["images_present"]) == sorted(stack.loaded["images_loaded"])


def test_an_image_that_was_not_brought_is_named_and_nothing_is_built(stack):
    said = stack.site.run("up", "--compose", "--profile", "ci", code=1)[1]
    assert "the engine has no sacristy/jenkins:" in said
    assert "sacristy bundle load" in said
    assert stack.healthy()


def test_a_plain_host_gets_what_it_needs_from_the_bundle(stack):
    source = "deb [trusted=yes] file:/bundle/debian ./"
    install = f"apt-get update -q && apt-get install -qy {' '.join(HOST_PACKAGES)}"
    used = "dockerd --version && docker-compose version --short && git --version && python3.11 -m venv /tmp/made"
    script = f"echo '{source}' > /etc/apt/sources.list && {install} && {used}"
    mounted = ("--volume", f"{stack.where}:/bundle:ro", "--network", "none")
    said = stack.engine.docker("run", "--rm", *mounted, BASE, "sh", "-c", script)
    assert "Docker version 20.10" in said
    assert "git version 2.39" in said


def test_a_models_data_goes_to_the_store_and_comes_from_it(stack):
    ops = stack.ops
    ops.run("env", "make", DATA, timeout=600)
    ops.run("data", "push", DATA, timeout=600)
    place = ops.folder / "models" / DATA / "dataset"
    for copy in (place, ops.home / "dvc" / "cache"):
        shutil.rmtree(copy)
    ops.run("data", "pull", DATA)
    (found,) = ops.json("data", "status", DATA)
    assert found["state"] == "pulled"
