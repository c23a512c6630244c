"""The examples an image is judged by: what its training run kept for that, and the answers it recorded."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sacristy.errors import ExamplesUnreadable, NoExamples
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
        golden = _pairs(run, "golden", "prediction", lambda: json.loads(_fetch(run, store, "golden", Path(folder))))
        lines = _fetch(run, store, "heldout", Path(folder)).splitlines()
        heldout = _pairs(run, "heldout", "target", lambda: [json.loads(line) for line in lines])
    return Examples(golden, heldout)


def _pairs(run: RunRecord, role: str, answer: str, read: Callable[[], Any]) -> list[tuple[Any, Any]]:
    try:
        pairs = [(example["instance"], example[answer]) for example in read()]
    except (ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ExamplesUnreadable(run=run.id, role=role, reason=reason) from None
    if not pairs:
        raise NoExamples(run=run.id, role=role)
    return pairs


def _fetch(run: RunRecord, store: Store, role: str, folder: Path) -> str:
    file = next((file for file in run.weights if file.role == role), None)
    if file is None:
        raise NoExamples(run=run.id, role=role)
    target = folder / role
    store.get(file.digest, target)
    return target.read_text(encoding="utf-8")
