"""Ten million logged predictions, and how long the statistics page and a user's feedback take then.

.venv/bin/python bench/gateway/millions.py [--predictions 10000000]

The predictions are written as the gateway writes them (its own documents and counts), over the last 30 days, of two
versions; only the requests that would have led to them are left out. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import httpx
from pymongo.database import Database
from run import BODY
from servers import gateway, model_server, mongodb, new_settings

from sacristy.gateway.counts import Of, Tally
from sacristy.gateway.ids import Ids
from sacristy.gateway.ledger import BATCH, Entry, amounts_of, document_of
from sacristy.settings import DATABASE, Settings

DAYS = 30
LABELS = ("World", "Sports", "Business", "Sci/Tech")
PREDICTIONS = {label: [{"label": label, "probabilities": {"World": 0.75, "Sports": 0.25}}] for label in LABELS}
ASKED = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", type=int, default=10_000_000, help="how many are logged")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        settings = new_settings(Path(name))
        client = stack.enter_context(mongodb(settings))
        model = stack.enter_context(model_server(Path(name)))
        url = stack.enter_context(gateway(settings, model))
        start = time.monotonic()
        some = fill(settings, client[DATABASE], options.predictions)
        report(client[DATABASE], options.predictions, time.monotonic() - start)
        ask(url, settings, some)


def fill(settings: Settings, database: Database[dict[str, Any]], count: int) -> list[str]:
    """Write so many predictions, and return the ids of a few of them."""
    some: list[str] = []
    tally, seen = Tally(), set()
    for batch in batches(settings, count):
        database.predictions.insert_many(
            [document_of(entry, PREDICTIONS[label], "keep") for entry, label in batch], ordered=False
        )
        for entry, label in batch:
            tally.add(entry.of, entry.at, amounts_of(entry, PREDICTIONS[label], seen), entry.ms)
        if random.random() < 0.05:
            some.append(batch[0][0].id)
    for collection, operations in tally.operations().items():
        database[collection].bulk_write(operations, ordered=False)
    return random.sample(some, min(ASKED, len(some)))


def batches(settings: Settings, count: int) -> Iterator[list[tuple[Entry, str]]]:
    ids = Ids(settings.secret("gateway-session-key"))
    began = datetime.now(UTC) - timedelta(days=DAYS)
    step_ms = DAYS * 86_400_000 / count
    first_ms = int(began.timestamp() * 1000)
    for done in range(0, count, BATCH):
        batch = []
        for number in range(done, min(count, done + BATCH)):
            at_ms = first_ms + int(number * step_ms)
            at = datetime.fromtimestamp(at_ms / 1000, UTC)
            label = LABELS[number % 4]
            of = Of("constant", "production", "12"[number % 10 == 0])
            ms = random.lognormvariate(1.0, 0.5)
            batch.append((Entry(ids.new(at_ms), at, of, 1, "answered", ms, "shop", BODY), label))
        yield batch


def report(database: Database[dict[str, Any]], count: int, took_s: float) -> None:
    size = database.command("collStats", "predictions")
    counted = database.command("collStats", "prediction_counts")
    load = os.getloadavg()[0]
    print(
        f"{count:,} predictions written in {took_s:.0f} s ({count / took_s:,.0f} a second), load average {load:.1f}\n"
    )
    print(f"- on disk: {size['totalSize'] / count:.0f} bytes for each prediction")
    print(f"- counts: {counted['count']:,} documents, {counted['size'] / 2**20:.1f} MiB\n")


def ask(url: str, settings: Settings, some: list[str]) -> None:
    """Print how long the statistics take over several spans, and feedback on predictions of any age."""
    print("| asked | median ms | longest ms |\n|---|---|---|")
    shown = {"Authorization": f"Bearer {settings.secret('gateway-ops')}"}
    with httpx.Client(base_url=url, headers=shown, timeout=60, trust_env=False) as client:
        for hours in (1, 6, 24, 24 * DAYS):
            path = f"/models/constant/statistics?hours={hours}"
            row(f"statistics of {hours} h", [timed(client, "GET", path) for _ in range(ASKED)])
        said = [timed(client, "POST", "/feedback", {"prediction_id": one, "correct": True}) for one in some]
        row("feedback on an old prediction", said)


def timed(client: httpx.Client, method: str, path: str, body: Any = None) -> float:
    start = time.perf_counter()
    answer = client.request(method, path, json=body)
    answer.raise_for_status()
    return (time.perf_counter() - start) * 1000


def row(name: str, times: list[float]) -> None:
    print(f"| {name} | {median(times):.0f} | {max(times):.0f} |", flush=True)


if __name__ == "__main__":
    main()
