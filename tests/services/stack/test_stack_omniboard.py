"""Omniboard behind our guard: it works for its user, and not for other sites that the user has open."""

from __future__ import annotations

from typing import Any

import pytest
import urllib3
from pymongo import MongoClient

from sacristy.settings import Role, Settings

Answer = urllib3.BaseHTTPResponse


@pytest.fixture
def run(stack: Settings) -> int:
    with MongoClient[dict[str, Any]](stack.database_url(Role.ADMIN)) as client:
        document = {"_id": 7, "experiment": {"name": "digits"}, "status": "COMPLETED", "config": {"lr": 0.1}}
        client.get_default_database()["runs"].replace_one({"_id": 7}, document, upsert=True)
    return 7


def ask(stack: Settings, method: str, path: str, **fields: Any) -> Answer:
    return urllib3.request(method, stack.service_url("omniboard") + path, retries=False, redirect=False, **fields)


def test_it_shows_runs_and_its_page(stack: Settings, run: int) -> None:
    runs = ask(stack, "GET", "/sacristy/api/v1/Runs").json()
    assert run in [found["_id"] for found in runs]
    assert b"<div id=" in ask(stack, "GET", "/sacristy").data


def test_a_tag_that_a_scientist_sets_is_kept(stack: Settings, run: int) -> None:
    assert ask(stack, "PUT", f"/sacristy/api/v1/Runs/{run}", json={"omniboard": {"tags": ["good"]}}).status == 200
    with MongoClient[dict[str, Any]](stack.database_url(Role.SERVICE)) as client:
        assert client.get_default_database()["runs"].find_one({"_id": run})["omniboard"]["tags"] == ["good"]


def test_nothing_can_be_deleted_through_it(stack: Settings, run: int) -> None:
    assert ask(stack, "DELETE", f"/sacristy/api/v1/Runs/{run}").status >= 400
    assert ask(stack, "DELETE", "/sacristy/api/v1/Metrics").status >= 400
    assert ask(stack, "GET", f"/sacristy/api/v1/Runs/{run}").status == 200


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}])
def test_requests_of_other_sites_are_refused(stack: Settings, headers: dict[str, str]) -> None:
    assert ask(stack, "GET", "/sacristy/api/v1/Runs", headers=headers).status == 403


def test_no_answer_allows_another_site_to_read_it(stack: Settings) -> None:
    answer = ask(stack, "GET", "/sacristy/api/v1/Runs")
    assert [name for name in answer.headers if name.lower().startswith("access-control-")] == []
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
