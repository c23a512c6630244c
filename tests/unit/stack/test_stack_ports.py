"""Each service keeps its port, unless another program has it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sacristy.settings import Settings
from sacristy.stack import ports


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
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


def test_a_port_held_on_every_interface_is_not_free() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert not ports.is_free(server.getsockname()[1])


def test_ports_of_other_services_stay(settings: Settings) -> None:
    ports.remember(settings, "gateway", 1)
    ports.remember(settings, "mongodb", 2)
    assert settings.ports() == {"gateway": 1, "mongodb": 2}
