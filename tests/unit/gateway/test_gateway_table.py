"""The route table is always the newest good one."""

from __future__ import annotations

from pathlib import Path

import pytest

from sacristy.gateway.table import RouteTable
from sacristy.names import Stage
from sacristy.targets.routes import Route, set_route

ROUTE = Route("http://127.0.0.1:1", "2", "sha256:" + "a" * 64, 2, "process", "digits-serve-1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway" / "routes.json"


def test_it_is_empty_before_the_first_deployment(path: Path) -> None:
    assert RouteTable(path).routes() == {}


def test_a_change_is_seen_at_once(path: Path) -> None:
    table = RouteTable(path)
    table.routes()
    set_route(path, "digits", Stage.PRODUCTION, ROUTE)
    assert table.routes()["digits"]["production"] == ROUTE
    set_route(path, "digits", Stage.PRODUCTION, None)
    assert table.routes().get("digits", {}) == {}


def test_an_unchanged_file_is_not_read_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_route(path, "digits", Stage.PRODUCTION, ROUTE)
    table = RouteTable(path)
    first = table.routes()
    assert table.routes() is first


@pytest.mark.parametrize(
    "broken", ["", "{", "[]", '{"models": {"digits": {"production": {"url": 1, "no": 2}}}}', "null"]
)
def test_a_broken_file_leaves_the_last_good_table(path: Path, broken: str) -> None:
    set_route(path, "digits", Stage.PRODUCTION, ROUTE)
    table = RouteTable(path)
    table.routes()
    path.write_text(broken)
    assert table.routes()["digits"]["production"] == ROUTE


def test_a_file_that_vanished_leaves_the_last_good_table(path: Path) -> None:
    set_route(path, "digits", Stage.PRODUCTION, ROUTE)
    table = RouteTable(path)
    table.routes()
    path.unlink()
    assert "digits" in table.routes()
