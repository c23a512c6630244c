"""What goes wrong while the stack starts: each fault is named, and mended by the next `up`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sacristy.errors import OtherSecrets, ProgramMissing, ServiceNotReady
from sacristy.settings import Settings
from sacristy.stack import mongod, mongodb
from sacristy.stack.doctor import doctor
from sacristy.stack.ports import remember
from sacristy.stack.services import MONGODB, OMNIBOARD, mongodb_program
from sacristy.stack.up import up
from sacristy.supervision import Supervisor

Until = Callable[[Callable[[], object]], None]


def start_mongod(settings: Settings, until: Until) -> int:
    supervisor = Supervisor(settings)
    supervisor.start_daemon()
    (settings.home / "mongodb" / "data").mkdir()
    port = settings.ports()[MONGODB]
    supervisor.add(mongodb_program(settings, mongod.find_mongod(settings), port))
    until(lambda: not mongodb.answers(port))
    return port


def test_without_node_the_rest_is_up_and_the_reason_is_plain(settings: Settings) -> None:
    states = up(settings)
    assert {name for name, state in states.items() if state.ready} == {"mongodb", "gateway"}
    assert states[OMNIBOARD].detail.startswith("node is not on this machine: install Node.js")
    assert [finding.level for finding in doctor(settings)] == ["warning"]


def test_without_mongod_nothing_starts_and_the_mend_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongod, "WHEEL", "no-such-wheel")
    with pytest.raises(ProgramMissing, match="mongod") as error:
        up(settings)
    assert "install MongoDB" in error.value.advice
    assert not Supervisor(settings).running()


def test_a_start_that_was_cut_off_is_completed(settings: Settings, until: Until) -> None:
    port = start_mongod(settings, until)
    mongodb._initiate(port, f"{mongodb.HOST}:{port}")  # a replica set, and no user yet
    assert up(settings)[MONGODB].ready


def test_another_database_at_its_port_is_not_taken_for_ours(
    settings: Settings, mongod: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(ours: Settings, service: str, _pid: int) -> int:
        remember(ours, service, mongod.port)
        return mongod.port

    monkeypatch.setattr("sacristy.stack.up.choose_port", taken)
    with pytest.raises(ServiceNotReady, match="it ends by itself"):  # and not: remove its data
        up(settings)


def test_a_database_of_other_secrets_is_told_apart(settings: Settings) -> None:
    up(settings)
    (settings.home / "secrets" / "mongodb-admin").unlink()
    with pytest.raises(OtherSecrets, match="mongodb/data"):
        up(settings)


def test_a_database_that_cannot_start_is_given_up_with_its_last_words(settings: Settings) -> None:
    data = settings.home / "mongodb" / "data"
    data.mkdir()
    (data / "WiredTiger").write_text("no database")
    (data / "storage.bson").write_text("neither is this")
    with pytest.raises(ServiceNotReady) as error:
        up(settings)
    assert error.value.detail


def test_the_mongod_of_the_wheel_gets_its_run_bit_in_a_copy(settings: Settings) -> None:
    assert mongod.find_mongod(settings) == settings.home / "mongodb" / "bin" / "mongod"
    assert Path(mongod.wheel_file()).is_file()


def test_a_program_that_was_given_up_shows_in_doctor(settings: Settings, until: Until) -> None:
    from sacristy.supervision import Program

    supervisor = Supervisor(settings)
    supervisor.start_daemon()
    log = settings.home / "logs" / "broken.log"
    supervisor.add(Program("broken", ("/no/such",), settings.home, log, restart=False))
    until(lambda: supervisor.state("broken").state == "FATAL")
    assert any("broken" in finding.what and "broken.log" in finding.mend for finding in doctor(settings))
