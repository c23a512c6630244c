"""Each service keeps its port, unless another program has it."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sacristy.settings import Settings
from sacristy.stack import ports


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "home").mkdir()
    return Settings(project=tmp_path, home=tmp_path / "home")


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_usual_port_is_taken_and_remembered(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = ports.free_port()
    monkeypatch.setitem(ports.USUAL_PORTS, "gateway", usual)
    assert ports.choose_port(settings, "gateway") == usual
    assert settings.port("gateway") == usual


def test_a_taken_port_is_replaced_by_a_free_one(
    settings: Settings, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ports.USUAL_PORTS, "gateway", taken)
    chosen = ports.choose_port(settings, "gateway")
    assert chosen != taken
    assert ports.is_free(chosen)


def test_a_remembered_port_stays_although_the_usual_one_is_free_again(settings: Settings) -> None:
    other = ports.free_port()
    ports.remember(settings, "gateway", other)
    assert ports.choose_port(settings, "gateway") == other


def test_a_service_keeps_the_port_that_it_holds_itself(settings: Settings, taken: int) -> None:
    ports.remember(settings, "gateway", taken)
    assert ports.choose_port(settings, "gateway", pid=os.getpid()) == taken


@pytest.fixture
def two(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Settings, Settings, int]:
    """Two homes, and the port that both would have."""
    usual = ports.free_port()
    monkeypatch.setitem(ports.USUAL_PORTS, "gateway", usual)
    (tmp_path / "other").mkdir()
    return settings, Settings(project=tmp_path, home=tmp_path / "other"), usual


def test_two_stacks_that_start_at_once_get_two_ports(two: tuple[Settings, Settings, int]) -> None:
    one, other, usual = two
    assert ports.choose_port(one, "gateway") == usual
    assert ports.choose_port(other, "gateway") != usual
    assert ports.choose_port(one, "gateway") == usual


def test_a_claim_ends_by_itself(two: tuple[Settings, Settings, int], monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, usual = two
    ports.choose_port(one, "gateway")
    later = time.time() + 121
    monkeypatch.setattr(time, "time", lambda: later)
    assert ports.choose_port(other, "gateway") == usual


@pytest.mark.parametrize("text", ["", "[]", "{", json.dumps({"a": 1}), json.dumps({"1": {"home": "x"}})])
def test_claims_that_cannot_be_read_are_none(two: tuple[Settings, Settings, int], tmp_path: Path, text: str) -> None:
    one, _, usual = two
    folder = tmp_path / f".sacristy-ports-{os.getuid()}"
    folder.mkdir(mode=0o700)
    (folder / "claims.json").write_text(text)
    assert ports.choose_port(one, "gateway") == usual


def test_a_folder_that_somebody_else_put_there_is_not_used(two: tuple[Settings, Settings, int], tmp_path: Path) -> None:
    one, other, usual = two
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f".sacristy-ports-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    assert ports.choose_port(one, "gateway") == ports.choose_port(other, "gateway") == usual
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_port_held_on_every_interface_is_not_free() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert not ports.is_free(server.getsockname()[1])


def test_ports_of_other_services_stay(settings: Settings) -> None:
    ports.remember(settings, "gateway", 1)
    ports.remember(settings, "mongodb", 2)
    assert settings.ports() == {"gateway": 1, "mongodb": 2}
