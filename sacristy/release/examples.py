"""The examples an image is judged by: what its training run kept for that, and the answers it recorded."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sacristy.errors import NoExamples
from sacristy.tracking.runs import RunRecord
from sacristy.weights.store import Store


@dataclass(frozen=True)
class Examples:
    """`golden`: (instance, expected prediction). `heldout`: (instance, target)."""

    golden: list[tuple[Any, Any]]
    heldout: list[tuple[Any, Any]]


def read_examples(run: RunRecord, store: Store) -> Examples:
    """Fetch the run's golden.json and heldout.jsonl by digest. Raises NoExamples, or what the store raises."""
    with tempfile.TemporaryDirectory() as folder:
        golden = json.loads(_fetch(run, store, "golden", Path(folder)))
        heldout = [json.loads(line) for line in _fetch(run, store, "heldout", Path(folder)).splitlines()]
    if not golden or not heldout:
        raise NoExamples(run=run.id, role="golden" if not golden else "heldout")
    return Examples(
        [(example["instance"], example["prediction"]) for example in golden],
        [(example["instance"], example["target"]) for example in heldout],
    )


def _fetch(run: RunRecord, store: Store, role: str, folder: Path) -> str:
    file = next((file for file in run.weights if file.role == role), None)
    if file is None:
        raise NoExamples(run=run.id, role=role)
    target = folder / role
    store.get(file.digest, target)
    return target.read_text(encoding="utf-8")
