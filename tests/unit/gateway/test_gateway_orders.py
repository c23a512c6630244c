"""Orders over HTTP become argument lists; nothing in them becomes an option or another command."""

from __future__ import annotations

from typing import Any

import pytest

from sacristy.errors import InvalidInstance, InvalidName
from sacristy.gateway.orders import Canary, Promotion, Rollback


def test_a_promotion_deploys_too() -> None:
    assert Promotion(image="news:43", why="better").commands() == [
        ["promote", "news:43", "production", "--why=better", "--json"],
        ["deploy", "news", "production", "--json"],
    ]


def test_a_rollback_is_one_command() -> None:
    assert Rollback(model="news", why="--no").commands() == [["rollback", "news", "production", "--why=--no", "--json"]]


def test_a_canary_is_started_promoted_or_dropped() -> None:
    (start,) = Canary(model="news", action="start", percent=2.5, version="43.1", kind="mirror").commands()
    assert start == ["deploy", "news", "production", "--mirror=2.5", "--version=43.1", "--why=", "--json"]
    (drop,) = Canary(model="news", action="drop", why="slow").commands()
    assert drop == ["canary", "news", "--stage=production", "--drop", "--why=slow", "--json"]


@pytest.mark.parametrize("name", ["--help", "news;reboot", "../x", "", "news production"])
def test_what_is_no_name_is_refused(name: str) -> None:
    orders: list[Any] = [Rollback(model=name), Promotion(image=name), Canary(model=name, action="drop")]
    for order in orders:
        with pytest.raises((InvalidName, InvalidInstance)):
            order.commands()
