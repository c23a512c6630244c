"""What the services are started with, as data."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from pydantic import SecretStr

from sacristy.settings import Settings
from sacristy.stack.health import CHECKS
from sacristy.stack.init import init, secret_makers
from sacristy.stack.services import (
    CEPH,
    SERVICES,
    WATCHER,
    gateway_program,
    mongodb_program,
    omniboard_program,
    service_names,
    watcher_program,
)
from sacristy.stack.status import service_state
from sacristy.supervision import Program, ProgramState

MONGOD, NODE = Path("/opt/mongod"), Path("/usr/bin/node")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(project=tmp_path, home=tmp_path / "home")
    init(settings)
    (settings.home / "ports.json").write_text('{"mongodb": 27117}')
    return settings


def programs(settings: Settings) -> list[Program]:
    return [
        mongodb_program(settings, MONGOD, 27117),
        omniboard_program(settings, NODE, settings.home / "omniboard" / "x", 9005),
        gateway_program(settings, 8600),
    ]


def test_mongod_is_a_replica_set_with_authentication_on_loopback(settings: Settings) -> None:
    argv = list(mongodb_program(settings, MONGOD, 27117).argv)
    assert argv[:3] == ["/opt/mongod", "--dbpath", str(settings.home / "mongodb" / "data")]
    options = dict(itertools.pairwise(argv))
    assert options["--bind_ip"] == "127.0.0.1"
    assert options["--port"] == "27117"
    assert options["--replSet"] == "rs0"
    assert options["--keyFile"] == str(settings.home / "secrets" / "mongodb-keyfile")


def test_no_secret_is_in_a_command_line(settings: Settings) -> None:
    secrets = [path.read_text() for path in (settings.home / "secrets").iterdir()]
    lines = " ".join(part for program in programs(settings) for part in program.argv)
    assert len(secrets) == len(secret_makers())
    assert [secret for secret in secrets if secret in lines] == []


def test_omniboard_gets_its_port_and_its_own_user(settings: Settings) -> None:
    program = omniboard_program(settings, NODE, settings.home / "omniboard" / "x", 9005)
    assert program.environment["PORT"] == "9005"
    assert program.environment["MONGO_URI"].startswith("mongodb://omniboard:")
    assert "replicaSet=rs0" in program.environment["MONGO_URI"]  # without it, it never recovers from an outage


def test_the_gateway_gets_no_secret_and_the_same_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"SACRISTY_TARGET": "docker", "SACRISTY_PROMOTION__APPROVALS": "1", "SACRISTY_JENKINS_TOKEN": "secret"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    environment = gateway_program(settings, 8600).environment
    assert environment["SACRISTY_HOME"] == str(settings.home)
    assert given.items() & environment.items() == set(given.items()) - {("SACRISTY_JENKINS_TOKEN", "secret")}
    assert "127.0.0.1:8600" in gateway_program(settings, 8600).argv


def test_the_database_stops_last(settings: Settings) -> None:
    orders = [program.order for program in programs(settings)]
    assert orders == sorted(orders)
    assert max(orders) < Program("instance", (), settings.home, settings.home).order


def test_the_watcher_is_a_service_where_there_is_a_jenkins_and_only_there(settings: Settings) -> None:
    assert service_names(settings) == SERVICES
    half = settings.model_copy(update={"jenkins_url": "http://jenkins"})
    assert service_names(half) == SERVICES
    whole = half.model_copy(update={"jenkins_user": "sacristy"})
    assert service_names(whole) == (*SERVICES, WATCHER)
    (settings.home / "ceph").mkdir(exist_ok=True)
    (settings.home / "ceph" / "ready").touch()
    assert service_names(whole) == (*SERVICES, CEPH, WATCHER)


def test_the_watcher_gets_the_token_that_was_given_but_not_by_its_command_line(settings: Settings) -> None:
    given = {"jenkins_url": "http://jenkins", "jenkins_user": "ci", "jenkins_token": SecretStr("s3cret")}
    program = watcher_program(settings.model_copy(update=given))
    assert program.argv[1:] == ("-m", "sacristy.cli", "jenkins", "watch")
    named = {name.removeprefix("SACRISTY_").lower(): value for name, value in program.environment.items()}
    assert (named["jenkins_url"], named["jenkins_user"], named["jenkins_token"]) == ("http://jenkins", "ci", "s3cret")
    bare = watcher_program(settings.model_copy(update=given | {"jenkins_token": None}))
    assert "SACRISTY_JENKINS_TOKEN" not in bare.environment  # it reads secrets/jenkins-token


@pytest.mark.parametrize(
    ("program", "reason", "ready", "detail"),
    [
        (None, "", False, "not started: sacristy up"),
        ("FATAL", "", False, "FATAL: exited too quickly"),
        ("RUNNING", "", True, ""),
        ("RUNNING", "Jenkins does not answer", False, "Jenkins does not answer"),
    ],
)
def test_the_watcher_is_ready_if_it_runs_and_jenkins_answers(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, program: str | None, reason: str, ready: bool, detail: str
) -> None:
    monkeypatch.setitem(CHECKS, WATCHER, lambda settings: reason)
    known = ProgramState(WATCHER, program, 1, 0.0, 0, "exited too quickly") if program else None
    state = service_state(settings.model_copy(update={"jenkins_url": "http://jenkins"}), WATCHER, known)
    assert (state.ready, state.detail) == (ready, detail)
    assert state.url == ("http://jenkins" if known else "")
