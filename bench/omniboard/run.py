"""Omniboard with 10,000 runs in a real browser: how soon the first rows are there, and what it looks like.

    .venv/bin/python bench/omniboard/run.py [--runs 10000] [--pictures FOLDER]

Starts a stack of its own in a temporary home, copies a real run of a million points 10,000 times (its points once),
opens the table, the run's curves and a comparison in headless Chromium, and prints how long each took.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from sacristy.settings import Role, Settings
from sacristy.stack.down import down
from sacristy.stack.up import up
from sacristy.tracking.database import connect

ROOT = Path(__file__).parents[2]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
LIMIT_S = 1.5
TRAIN = """
import math
import sacristy
ex = sacristy.experiment("waves", base_dir={folder!r})
@ex.config
def config():
    points = {points}
    tags = ["bench"]
@ex.automain
def main(_run, points):
    for step in range(points):
        _run.log_scalar("loss", 1 / (1 + step / 1000) + 0.05 * math.sin(step / 5000), step)
    return {{"loss": 0.1, "accuracy": 0.9}}
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000, help="how many runs the database holds")
    parser.add_argument("--points", type=int, default=1_000_000, help="how many points the real run logs")
    parser.add_argument("--pictures", type=Path, help="where to put screenshots")
    words = parser.parse_args()
    with stack() as settings:
        run = train(settings, words.points)
        multiply(settings, run, words.runs)
        figures = browse(settings, run, words.pictures)
    print(json.dumps(figures, indent=1))
    table(figures)


@contextmanager
def stack() -> Iterator[Settings]:
    """Give a stack of its own."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(project=ROOT, home=Path(folder) / "home")
        try:
            up(settings)
            yield settings
        finally:
            down(settings)


def train(settings: Settings, points: int) -> int:
    """Log a real run; return its number."""
    script = settings.home / "train.py"
    script.write_text(TRAIN.format(folder=str(settings.home), points=points))
    environment = os.environ | {"SACRISTY_PROJECT": str(ROOT), "SACRISTY_HOME": str(settings.home)}
    subprocess.run([sys.executable, "-W", "ignore", str(script)], check=True, env=environment, capture_output=True)
    database = connect(settings, Role.SERVICE)
    with database.client:
        return int(database.runs.find_one(sort=[("_id", -1)])["_id"])


def multiply(settings: Settings, run: int, count: int) -> None:
    """Copy a run's document under new numbers; the last two, which are compared, have copies of its curve too."""
    database = connect(settings, Role.ADMIN)
    with database.client:
        document = database.runs.find_one({"_id": run})
        document["sacristy"]["journal"].pop("key", None)
        for start in range(run + 1, run + count, 1000):
            numbers = range(start, min(start + 1000, run + count))
            database.runs.insert_many([document | {"_id": number} for number in numbers])
        curve = database.metrics.find_one({"run_id": run})
        curve.pop("_id")
        database.metrics.insert_many([curve | {"run_id": run + count - back} for back in (1, 2)])


def browse(settings: Settings, run: int, pictures: Path | None) -> dict[str, float]:
    """Open each page and return the seconds until it shows what it should."""
    url = settings.service_url("omniboard") + "/sacristy"
    details = f"?showDrillDownRunModal=true&runIdToExpand={run}&runIdStatus=COMPLETED"
    chromium = shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1500, "height": 800})
        first = shown(page, url, "text=COMPLETED")  # the first visit ends with our order of columns
        page.wait_for_function("localStorage.getItem('sacristy|columns|1')")
        page.wait_for_selector("text=Score")
        print(f"first visit {first:.2f} s")
        rows = statistics.median(shown(page, url, "text=COMPLETED") for _ in range(5))
        picture(page, pictures, "table")
        curves = statistics.median(shown(page, url + details, "path.js-line") for _ in range(3))
        picture(page, pictures, "run")
        card = opening_card(page)
        picture(page, pictures, "card")
        compare = comparing(page, url)
        picture(page, pictures, "compare")
        browser.close()
    return {
        "first rows, s": rows,
        "curves of a million points, s": curves,
        "run card, s": card,
        "comparison, s": compare,
    }


def shown(page: Page, url: str, what: str) -> float:
    """Return how long a page takes until an element is visible."""
    start = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.wait_for_selector(what, state="attached", timeout=60_000)
    return time.perf_counter() - start


def opening_card(page: Page) -> float:
    """Open the card of the run that is shown; return how long it took from the click until its curve is there."""
    page.click("text=Artifacts")
    page.wait_for_selector("text=run-card.html >> nth=0")
    start = time.perf_counter()
    page.click("text=run-card.html >> nth=0")
    page.frame_locator("iframe").locator("polyline").first.wait_for(state="visible", timeout=60_000)
    return time.perf_counter() - start


def comparing(page: Page, url: str) -> float:
    """Mark the first two runs and compare them; return how long it took from the click."""
    page.goto(url)
    page.wait_for_selector("text=COMPLETED")
    page.wait_for_timeout(500)  # the rows move once more while columns get their widths
    for row in (1, 2):
        page.mouse.click(25, 250 + 70 * (row - 1))
    start = time.perf_counter()
    page.click("button:has-text('Compare')")
    page.click("text=Metric Label >> nth=-1")
    page.keyboard.type("loss")
    page.keyboard.press("Enter")
    page.wait_for_selector("path.js-line", state="attached", timeout=60_000)
    return time.perf_counter() - start


def picture(page: Page, folder: Path | None, name: str) -> None:
    """Keep a screenshot if a folder was named."""
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(folder / f"{name}.png"))


def table(figures: dict[str, float]) -> None:
    """Print the figures against the limit."""
    print(f"\n{'what':32} {'s':>6}   limit")
    for name, seconds in figures.items():
        limit = f"{LIMIT_S} s ({seconds / LIMIT_S:.2f} of it)" if name.startswith("first rows") else ""
        print(f"{name.removesuffix(', s'):32} {seconds:6.2f}   {limit}")


if __name__ == "__main__":
    main()
