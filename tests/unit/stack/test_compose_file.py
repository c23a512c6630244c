"""compose.yaml: what holds for every service of every profile. Parsed, not started."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import pytest
import yaml

from sacristy.gateway.ledger import Outcome
from sacristy.gateway.metrics import Meter
from sacristy.gateway.rights import TokenRole
from sacristy.operator.telemetry import Telemetry
from sacristy.serving.loading import Identity
from sacristy.serving.metrics import Metrics
from sacristy.settings import Role
from sacristy.stack.composed.guard import Guard
from sacristy.stack.composed.init import IMAGES, PUBLISHED, secret_files
from sacristy.stack.composed.place import PROFILES, Place
from sacristy.stack.init import token_secret
from sacristy.turns import beat

FOLDER = Path(__file__).parents[3] / "compose"
FILE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES = FILE["services"]
ONE_SHOTS = {"prepare"}
STAYING = sorted(SERVICES.keys() - ONE_SHOTS)
MAY_WRITE = {"jenkins"}  # builds work in its home, and its plugins unpack beside it


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_limited_not_root_and_without_rights(name):
    service = SERVICES[name]
    assert service["mem_limit"]
    assert service["cpus"]
    assert service["pids_limit"]
    assert service["user"].startswith("${SACRISTY_UID:?") or name in MAY_WRITE
    assert service["user"].partition(":")[0] != "0"
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True or name in MAY_WRITE
    assert service["logging"]["options"]["max-size"]
    assert not service.get("privileged")


@pytest.mark.parametrize("name", STAYING)
def test_a_service_that_stays_is_watched_and_comes_back(name):
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["healthcheck"]["interval"]


@pytest.mark.parametrize("name", ["keeper", "watcher"])
@pytest.mark.parametrize(("age_s", "healthy"), [(60, True), (1000, False)])
def test_who_takes_turns_is_healthy_while_they_are_taken(tmp_path, name, age_s, healthy):
    beat(tmp_path, name)
    os.utime(tmp_path / f"{name}.turn", (time.time() - age_s,) * 2)
    assert check_of(name).count("/state") == 1
    assert passes(check_of(name).replace("/state", str(tmp_path))) is healthy


@pytest.mark.parametrize(("engine", "healthy"), [(b"HTTP/1.1 200 OK\r\n\r\nOK", True), (b"", False)])
def test_the_guard_is_healthy_while_the_engine_behind_it_answers(tmp_path, engine, healthy):
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(str(tmp_path / "engine"))
        there.listen()
        threading.Thread(target=answer_one, args=(there, engine), daemon=True).start()
        with Guard(str(tmp_path / "engine"), tmp_path / "docker.sock", "models") as guard:
            threading.Thread(target=guard.serve_forever, args=(0.01,), daemon=True).start()
            assert passes(check_of("engine").replace("/run/engine", str(tmp_path))) is healthy
            guard.shutdown()


def check_of(name):
    return SERVICES[name]["healthcheck"]["test"][-1]


def passes(code):
    return subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, check=False).returncode == 0


def answer_one(there, text):
    connection, _ = there.accept()
    connection.recv(1 << 10)
    connection.sendall(text)
    connection.close()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_belongs_to_a_profile_and_its_image_to_a_variable(name):
    assert set(SERVICES[name]["profiles"]) <= set(PROFILES)
    assert re.fullmatch(r"\$\{SACRISTY_IMAGE_[A-Z]+:\?[^}]+\}", SERVICES[name]["image"])
    assert "latest" not in str(SERVICES[name].get("build", ""))


def test_only_nginx_publishes_a_port_and_one():
    assert [name for name, service in SERVICES.items() if service.get("ports")] == ["nginx"]
    assert len(SERVICES["nginx"]["ports"]) == 1
    assert not [name for name, service in SERVICES.items() if service.get("network_mode") == "host"]


def test_only_the_guard_has_the_engines_socket_and_it_has_no_network():
    having = [name for name, service in SERVICES.items() if "SOCKET" in str(service.get("volumes", ""))]
    assert having == ["engine"]
    assert SERVICES["engine"]["network_mode"] == "none"


def test_nothing_but_nginx_has_a_way_out():
    assert FILE["networks"]["services"]["internal"]
    assert FILE["networks"]["models"]["internal"]
    out = {name for name, service in SERVICES.items() if {"front", "ci"} & set(service.get("networks", []))}
    assert out == {"nginx", "jenkins"}
    assert FILE["networks"]["builds"]["internal"]
    assert {name for name, service in SERVICES.items() if "builds" in service.get("networks", [])} == {
        "jenkins",
        "watcher",
    }
    assert SERVICES["jenkins"]["networks"] == ["ci", "builds"]  # and so it reaches nothing else but nginx


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - {"jenkins"}))
def test_a_name_that_nobody_has_is_given_up_soon(name):
    assert SERVICES[name]["dns_search"] == ["."]
    assert SERVICES[name]["dns_opt"] == ["timeout:1", "attempts:1"]


def test_jenkins_is_in_the_group_that_its_secrets_are_read_by():
    assert [group.partition(":")[0] for group in SERVICES["jenkins"]["group_add"]] == ["${SACRISTY_GID"]


def test_no_secret_is_in_an_environment_or_a_command():
    for service in SERVICES.values():
        words = str(service.get("environment", "")) + str(service.get("command", ""))
        assert not re.search(r"(?i)\b(password|token|secret)[=:]|mongodb://[^@ ]+:[^@ ]+@", words)


def test_every_secret_is_one_that_init_makes_and_each_is_used():
    made = {*secret_files(Place(FOLDER), "x.test"), "ceph-ops", "ceph-training", "ceph-serving"}
    assert {Path(secret["file"]).name for secret in FILE["secrets"].values()} <= made
    used = {
        each if isinstance(each, str) else each["source"] for s in SERVICES.values() for each in s.get("secrets", [])
    }
    assert used == FILE["secrets"].keys()


def test_prepare_makes_every_user_and_token():
    given = {secret["source"] for secret in SERVICES["prepare"]["secrets"]}
    assert given == {*(f"mongodb-{role}" for role in Role), *map(token_secret, TokenRole)}


def test_every_image_name_is_written_by_init():
    named = {re.findall(r"SACRISTY_IMAGE_([A-Z]+)", service["image"])[0] for service in SERVICES.values()}
    assert named == {image.upper() for image in (*IMAGES, *PUBLISHED)}


METRIC = re.compile(r"\bsacristy_[a-z_]+")
MEASURED = {
    f"{metric.name}{suffix}"
    for registry in (Telemetry().registry, Meter().registry, Metrics(Identity("m", "1", "", 1)).registry)
    for metric in registry.collect()
    for suffix in ("", "_total", "_bucket", "_count", "_sum")
}


def test_alerts_and_dashboards_ask_for_what_is_measured():
    rules = yaml.safe_load((FOLDER / "prometheus" / "rules.yml").read_text())["groups"][0]["rules"]
    panels = json.loads((FOLDER / "grafana" / "dashboards" / "sacristy.json").read_text())["panels"]
    asked = [rule["expr"] for rule in rules] + [target["expr"] for panel in panels for target in panel["targets"]]
    assert {name for text in asked for name in METRIC.findall(text)} <= MEASURED
    assert set(re.findall(r'outcome="(\w+)"', "".join(asked))) <= set(get_args(Outcome))
    assert all(rule["annotations"]["mend"] for rule in rules)


def test_prometheus_asks_services_that_are_there():
    config = yaml.safe_load((FOLDER / "prometheus" / "prometheus.yml").read_text())
    asked = [job["static_configs"][0]["targets"][0] for job in config["scrape_configs"] if "static_configs" in job]
    asked += [
        urlsplit(each["url"]).netloc for job in config["scrape_configs"] for each in job.get("http_sd_configs", [])
    ]
    assert {place.partition(":")[0] for place in asked} <= {*SERVICES, "127.0.0.1"}
    assert {"services", "models"} <= set(SERVICES["prometheus"]["networks"])  # where all of them are


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*/Dockerfile")), ids=lambda path: path.parent.name)
def test_an_image_is_not_roots_and_its_base_can_be_chosen(path):
    text = path.read_text()
    assert "\nUSER 65532:65532\n" in text
    assert "\nFROM ${BASE}" in text
    assert ":latest" not in text
