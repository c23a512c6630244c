"""From a run to containers: the environment image, the model's image on it, a judged release, stages as containers."""

import json
import os
import shutil
import signal
import socket
import time
from urllib.parse import urlsplit

import pytest
from engine import mirror
from story import Load, ask

from sacristy.images.layout import FolderRegistry

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]  # its environment image is built first
INSTANCE = {"instances": [[0.0] * 64]}
NO_NAMES = ("--dns", "127.0.0.1")
REACH = """
import socket
try:
    socket.create_connection(({!r}, 80), 3)
    print("reached")
except OSError:
    print("cut off")
try:
    socket.gethostbyname("example.org")
except OSError:
    print("no names")
"""


@pytest.fixture(scope="module")
def released(contained):
    """Digits, trained, built, tested, pushed, and in production as a container."""
    clone = contained.clone
    clone.run("up")
    clone.run("train", "digits")
    contained.built = clone.json("build", "digits")
    contained.verdict = clone.json("test", "digits")
    contained.pushed = clone.json("push", "digits")
    contained.name = f"digits:{contained.built['version']}"
    for stage in ("staging", "production"):
        clone.run("promote", contained.name, stage, "--why", "the first")
    clone.run("deploy", "digits", "production")
    return contained


def pushed(contained):
    return FolderRegistry(contained.clone.home / "registry")


def inside(contained, *words, options=("--network", "none"), check=True):
    """Run a command in a container of the environment image."""
    image = contained.environment.partition("@")[0] + ":cpu"
    return contained.engine.docker("run", "--rm", "--read-only", *options, image, *words, check=check)


def container_of(contained, stage):
    route = json.loads((contained.clone.home / "gateway" / "routes.json").read_text())["models"]["digits"][stage]
    return route, json.loads(contained.engine.docker("container", "inspect", route["instance"]))[0]


def containers(contained):
    return contained.engine.docker("container", "ls", "--all", "--format", "{{.Names}}").split()


def test_the_environment_has_what_is_locked_and_no_tools(contained):
    code = "import os, sys, torch, gunicorn; print(os.getuid(), sys.prefix, torch.__version__)"
    assert inside(contained, "python", "-c", code).split() == ["65532", "/opt/env", "2.13.0+cpu"]
    assert inside(contained, "python", "-m", "pip", "--version", check=False) == ""
    assert inside(contained, "sh", "-c", "command -v gcc cc make pip pip3; true") == ""


def test_the_environment_says_what_it_was_made_from(contained):
    repository, digest = contained.environment.split("@")
    config = pushed(contained).config(repository, digest)["config"]
    assert config["Labels"]["dev.sacristy.lock"].startswith(repository.removeprefix("env-"))
    assert config["Labels"]["org.opencontainers.image.base.digest"].startswith("sha256:")
    assert config["User"] == "65532:65532"
    assert config["Healthcheck"]["Test"][0] == "CMD"


def test_the_image_is_judged_as_a_container(released):
    checks = {check["name"]: check for check in released.verdict["checks"]}
    assert list(checks) == ["ready", "golden", "score", "latency", "bad input", "memory", "ending"]
    assert all(check["passed"] for check in checks.values())
    assert released.verdict["figures"]["memory_mib"] > 50
    assert not [name for name in containers(released) if "trial" in name]


def test_the_base_is_mounted_and_not_sent(released):
    # mounted, or there already: an earlier story may have pushed the base
    assert released.pushed["blobs_mounted"] + released.pushed["blobs_present"] >= 2
    assert released.pushed["bytes_sent"] < 1 << 20
    assert released.built["size"] > 100 << 20


def test_a_stage_is_a_container_with_nothing_that_it_does_not_need(released):
    route, found = container_of(released, "production")
    host = found["HostConfig"]
    assert route["target"] == "docker"
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["SecurityOpt"]) == (True, ["ALL"], ["no-new-privileges"])
    assert (host["Memory"], host["NanoCpus"]) == (2048 << 20, 2 * 10**9)
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert [bind["HostIp"] for bind in host["PortBindings"]["8080/tcp"]] == ["127.0.0.1"]
    assert found["Config"]["User"] == "65532:65532"
    assert found["Image"] == pushed(released).manifest("digits", released.built["digest"])["config"]["digest"]


def test_a_trial_has_no_way_out_and_no_names(released):
    away = socket.gethostbyname(urlsplit(mirror()).hostname)
    for network, said in (("sacristy", "reached"), ("sacristy-trial", "cut off")):
        found = inside(released, "python", "-c", REACH.format(away), options=("--network", network))
        assert found.split("\n")[0] == said
    found = inside(released, "python", "-c", REACH.format(away), options=("--network", "sacristy-trial", *NO_NAMES))
    assert found.split("\n")[:2] == ["cut off", "no names"]


def test_run_by_hand_it_just_serves(released):
    tag = f"sacristy/models/{released.name}-{released.built['digest'][7:19]}"
    name = released.engine.docker("run", "--detach", "--publish", "127.0.0.1::8080", tag).strip()
    address = released.engine.docker("port", name, "8080/tcp").strip()
    deadline = time.monotonic() + 60
    while True:
        try:
            answer = ask(f"http://{address}/predict", INSTANCE)
            break
        except OSError:
            assert time.monotonic() < deadline, released.engine.docker("logs", name)
            time.sleep(0.2)
    released.engine.docker("rm", "--force", name)
    assert (answer["model"], answer["version"]) == ("digits", released.built["version"])


def test_a_killed_container_comes_back_where_it_was(released):
    route, found = container_of(released, "production")
    os.kill(found["State"]["Pid"], signal.SIGKILL)
    deadline = time.monotonic() + 60
    while container_of(released, "production")[1]["RestartCount"] == 0:
        assert time.monotonic() < deadline
    while not released.clone.json("status")["models"]["digits"]["production"]["ready"]:
        assert time.monotonic() < deadline
    assert ask(f"{route['url']}/predict", INSTANCE)["version"] == released.built["version"]


def test_a_stage_moves_between_targets_without_a_failed_request(released):
    clone = released.clone
    gateway = clone.json("status")["services"]["gateway"]["url"]
    with Load(f"{gateway}/models/digits/predict", INSTANCE, clone.token) as load:
        clone.run("deploy", "digits", "production", "--target", "process")
        assert [name for name in containers(released) if "production" in name] == []
        clone.run("deploy", "digits", "production", "--target", "docker")
    assert load.failures == []
    assert container_of(released, "production")[0]["target"] == "docker"
    assert "gunicorn" in clone.run("logs", "digits")[0]


def test_a_canary_beside_it_takes_over_and_one_command_goes_back(released):
    clone = released.clone
    gateway = clone.json("status")["services"]["gateway"]["url"]
    clone.run("train", "digits", "with", "epochs=12")
    second = clone.json("release", "digits")["version"]
    with Load(f"{gateway}/models/digits/predict", INSTANCE, clone.token) as load:
        clone.run("deploy", "digits", "--canary", "50")
        assert len([name for name in containers(released) if "production" in name]) == 2
        clone.run("canary", "digits", "--promote", "--why", "it agrees")
        assert container_of(released, "production")[0]["version"] == second
        clone.run("rollback", "digits", "production", "--why", "to see it work")
    assert load.failures == []
    assert set(load.versions) == {released.built["version"], second}
    assert container_of(released, "production")[0]["version"] == released.built["version"]


def test_another_machine_builds_the_same_image(released):
    shutil.rmtree(released.clone.home / "images")
    again = released.clone.json("build", "digits", "--run", released.built["version"])
    assert again["new"]
    assert again["digest"] == released.built["digest"]


def test_down_leaves_no_container_and_up_brings_the_stage_back(released):
    released.clone.run("down")
    assert containers(released) == []
    released.clone.run("up")
    assert released.clone.json("status")["models"]["digits"]["production"]["ready"]
    assert container_of(released, "production")[0]["target"] == "docker"
