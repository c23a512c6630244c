"""Omniboard's table in a real browser: what a scientist looks for comes first, and what a user then chooses is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page
from pymongo import MongoClient
from services.gateway.browsing import CHROMIUM, launched

from sacristy.settings import Role, Settings

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium"),
]
ORDER = "JSON.parse(localStorage.getItem('sacristy|RunsTable|1')).columnOrder"


@pytest.fixture
def page(stack: Settings) -> Iterator[Page]:
    """The table with one run in it, on a first visit."""
    with MongoClient[dict[str, Any]](stack.database_url(Role.ADMIN)) as client:
        run = {"_id": 9, "experiment": {"name": "digits"}, "status": "COMPLETED", "config": {"lr": 0.1}}
        ours = {"sacristy": {"score": 0.98765, "stage": ["production"]}}
        client.get_default_database()["runs"].replace_one({"_id": 9}, run | ours, upsert=True)
    with launched() as browser, browser.new_context(viewport={"width": 1800, "height": 800}) as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(stack.service_url("omniboard") + "/sacristy")
        page.wait_for_function("localStorage.getItem('sacristy|columns|1')")
        page.wait_for_selector("text=0.98765")
        yield page


def test_the_table_begins_with_what_is_looked_for_and_leaves_our_record_out(page: Page) -> None:
    order = page.evaluate(ORDER)
    assert order[:6] == ["_id", "experiment_name", "status", "Score", "tags", "notes"]
    assert {"Stage", "Deployed", "Image", "Weights", "Complete", "c_lr"} <= set(order)
    assert "sacristy" not in order
    assert page.locator("text=production").count() >= 1


def test_what_a_user_chooses_is_kept(page: Page) -> None:
    chosen = {"columnOrder": ["_id", "status"]}
    page.evaluate(
        "chosen => { const key = 'sacristy|RunsTable|1';"
        " localStorage.setItem(key, JSON.stringify({...JSON.parse(localStorage.getItem(key)), ...chosen})) }",
        chosen,
    )
    page.reload()
    page.wait_for_selector("text=COMPLETED")
    assert page.evaluate(ORDER) == chosen["columnOrder"]
