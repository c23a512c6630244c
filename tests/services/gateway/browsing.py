"""A browser that is logged in, whose console must stay empty: the content policy reports there too."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
PHONE = {"width": 320, "height": 640}
SERIOUS = ("serious", "critical")


@contextmanager
def launched(*flags: str) -> Iterator[Browser]:
    """Give a headless Chromium."""
    with sync_playwright() as play, play.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags]) as browser:
        yield browser


@contextmanager
def opened(browser: Browser, address: str, token: str, **options: Any) -> Iterator[Page]:
    """Give a page that came to the list of models by the login. Failed requests that a test makes are no faults."""
    told: list[str] = []
    with browser.new_context(**options) as context:
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.goto(address)
        page.fill("#token", token)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_selector("h1:has-text('Models')")
        yield page
    assert [line for line in told if not line.startswith("Failed to load resource")] == []


def fetched_axe(folder: Path) -> Path:
    """Return axe-core's script, installed from the registry that npm knows."""
    argv = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
    subprocess.run([*argv, "axe-core@4"], check=True, timeout=120)
    return folder / "node_modules" / "axe-core" / "axe.min.js"


def faults(page: Page, axe: Path) -> list[str]:
    """Return what axe finds serious or worse, one line for each element. The content policy lets no script in but ours:
    this one comes by the debugger.
    """
    page.evaluate(axe.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    kept = [each for each in found if each["impact"] in SERIOUS]
    return [
        f"{each['id']}: {node['html'][:160]} {node['failureSummary'][:240]}" for each in kept for node in each["nodes"]
    ]


def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
