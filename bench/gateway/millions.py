"""Ten million logged predictions, and how long the statistics page and a user's feedback take then.

.venv/bin/python bench/gateway/millions.py [--predictions 10000000]

The predictions are the gateway's own documents and counts, over the last 30 days, of two versions; only the requests
that would have led to them are left out. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import random
import struct
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import bson
import httpx
from bson import ObjectId
from bson.raw_bson import RawBSONDocument
from pymongo.database import Database
from run import BODY
from servers import gateway, model_server, mongodb, new_settings

from sacristy.gateway.counts import Of, Tally
from sacristy.gateway.ids import Ids
from sacristy.gateway.ledger import Entry, amounts_of, document_of
from sacristy.settings import DATABASE, Settings

DAYS = 30
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678_000, UTC)
LATENCIES = [random.lognormvariate(1.0, 0.5) for _ in range(997)]
LABELS = ("World", "Sports", "Business", "Sci/Tech")
PREDICTIONS = {label: [{"label": label, "probabilities": {"World": 0.75, "Sports": 0.25}}] for label in LABELS}
ASKED = 20
BATCH = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", type=int, default=10_000_000, help="how many are logged")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        settings = new_settings(Path(name))
        client, _ = stack.enter_context(mongodb(settings))
        model = stack.enter_context(model_server(Path(name)))
        server = stack.enter_context(gateway(settings, model))
        written = 0
        for total in (options.predictions // 100, options.predictions // 10, options.predictions):
            start = time.monotonic()
            some = fill(settings, client[DATABASE], total - written)
            report(client[DATABASE], total, total - written, time.monotonic() - start)
            ask(server.url, settings, some)
            written = total


def fill(settings: Settings, database: Database[dict[str, Any]], count: int) -> list[str]:
    """Write so many predictions, and return the ids of a few of them."""
    ids = Ids(settings.secret("gateway-session-key"))
    template, tally, some = Template(), Tally(), []
    step_ms = DAYS * 86_400_000 / count
    first_ms = int((datetime.now(UTC) - timedelta(days=DAYS)).timestamp() * 1000)
    for start in range(0, count, BATCH):
        batch = []
        for number in range(start, min(count, start + BATCH)):
            at_ms = first_ms + int(number * step_ms)
            version, label, ms = number % 10 == 0, number % 4, LATENCIES[number % len(LATENCIES)]
            identity = ids.new(at_ms)
            batch.append(template.made(version, label, at_ms, identity, ms))
            template.count(tally, version, label, at_ms, ms)
        database.predictions.insert_many(batch, ordered=False)
        some.append(identity)
    for collection, operations in tally.operations().items():
        for start in range(0, len(operations), BATCH):
            database[collection].bulk_write(operations[start : start + BATCH], ordered=False)
    return random.sample(some, min(ASKED, len(some)))


class Template:
    """The gateway's own documents as BSON, in which only the time, the id and the latency differ.

    Making ten million of them one by one would take the most part of an hour, and is not what is measured.
    """

    def __init__(self) -> None:
        self.entries = [
            [
                (Entry("i" * 27, MOMENT, Of("constant", "production", version), 1, "answered", 7.5, "shop", BODY), each)
                for each in PREDICTIONS.values()
            ]
            for version in ("1", "2")
        ]
        self.parts = [[self._split(*each) for each in row] for row in self.entries]
        self.amounts = [[amounts_of(*each, set()) for each in row] for row in self.entries]

    def _split(self, entry: Entry, predictions: list[Any]) -> tuple[bytearray, int, int, int, int]:
        own = ObjectId(b"o" * 12)
        text = bytearray(bson.encode({"_id": own, **document_of(entry, predictions, "keep")}))
        marks = (own.binary, struct.pack("<q", int(MOMENT.timestamp() * 1000)), b"i" * 27, struct.pack("<d", 7.5))
        return (text, *(text.index(mark) for mark in marks))

    def made(self, version: bool, label: int, at_ms: int, identity: str, ms: float) -> RawBSONDocument:
        text, own, at, name, latency = self.parts[version][label]
        text[own : own + 12] = ObjectId().binary
        struct.pack_into("<q", text, at, at_ms)
        text[name : name + 27] = identity.encode()
        struct.pack_into("<d", text, latency, ms)
        return RawBSONDocument(bytes(text))

    def count(self, tally: Tally, version: bool, label: int, at_ms: int, ms: float) -> None:
        at = datetime.fromtimestamp(at_ms / 1000, UTC)
        tally.add(self.entries[version][label][0].of, at, self.amounts[version][label], ms)


def report(database: Database[dict[str, Any]], total: int, new: int, took_s: float) -> None:
    size = database.command("collStats", "predictions")
    counted = database.command("collStats", "prediction_counts")
    pace = f"the last {new:,} written in {took_s:.0f} s, {new / took_s:,.0f} a second"
    print(f"\n{total:,} predictions ({pace}; load average {os.getloadavg()[0]:.1f})\n")
    print(f"- on disk: {size['totalSize'] / total:.0f} bytes for each prediction")
    print(f"- counts: {counted['count']:,} documents, {counted['size'] / 2**20:.1f} MiB\n", flush=True)


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
