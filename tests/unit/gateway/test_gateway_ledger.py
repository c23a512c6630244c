"""The ledger's queue: never in the way, never without bound, never ended by what is put into it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo.errors import ServerSelectionTimeoutError

from sacristy.gateway import ledger as ledgers
from sacristy.gateway.counts import MOST_LABELS, OTHER_LABELS, Of, field_of
from sacristy.gateway.ledger import KEPT_BYTES, Entry, Ledger, amounts_of, document_of
from sacristy.gateway.metrics import Meter

NOW = datetime(2026, 11, 21, tzinfo=UTC)
OF = Of("news", "production", "42")


def entry(question: bytes = b"{}", answer: bytes = b"", outcome: Any = "answered") -> Entry:
    return Entry("id", NOW, OF, 42, outcome, 1.5, "shop", question, answer)


def away() -> Any:
    raise ServerSelectionTimeoutError("no server")


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A ledger whose MongoDB is away, worked by hand: it starts no thread."""
    made = Ledger(away, "sacristy", lambda model: "keep", Meter())
    made._thread = object()  # type: ignore[assignment]
    monkeypatch.setattr(ledgers, "MOST_ENTRIES", 10)
    return made


def dropped(ledger: Ledger) -> float:
    return ledger._meter.registry.get_sample_value("sacristy_gateway_log_dropped_total") or 0.0


def test_a_full_queue_drops_entries_and_counts_them(ledger: Ledger) -> None:
    for _ in range(13):
        ledger.note(entry())
    assert (len(ledger._queue), dropped(ledger)) == (10, 3)


def test_large_requests_fill_the_queue_by_their_bytes(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "MOST_BYTES", 1000)
    for _ in range(3):
        ledger.note(entry(question=b"x" * 400))
    assert (len(ledger._queue), dropped(ledger)) == (2, 1)


def test_while_the_database_is_away_entries_wait(ledger: Ledger) -> None:
    ledger.note(entry())
    assert not ledger._flush_all()
    assert (len(ledger._queue), dropped(ledger)) == (1, 0)


def test_an_entry_that_cannot_be_written_goes_and_the_rest_is_written(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Entry] = []

    def write(batch: list[Entry]) -> None:
        if any(each.question == b"poison" for each in batch):
            raise ValueError("a fault of ours")
        written.extend(batch)
        ledger._forget(batch)

    monkeypatch.setattr(ledgers, "BATCH", 1)
    monkeypatch.setattr(ledger, "_write", write)
    for question in (b"one", b"poison", b"two"):
        ledger.note(entry(question))
    assert ledger._flush_all()
    assert [each.question for each in written] == [b"one", b"two"]
    assert (dropped(ledger), ledger._bytes) == (1, 0)


@pytest.mark.parametrize(("keep", "fields"), [("keep", {"input"}), ("hash", {"input_sha256"}), ("none", set())])
def test_of_an_input_only_what_may_be_is_kept(keep: Any, fields: set[str]) -> None:
    assert {name for name in document_of(entry(), [], keep) if name.startswith("input")} == fields


def test_a_huge_input_is_kept_as_its_hash_and_a_huge_output_not_at_all() -> None:
    document = document_of(entry(b"x" * (KEPT_BYTES + 1)), ["y" * KEPT_BYTES], "keep")
    assert "input_sha256" in document
    assert not {"input", "output"} & document.keys()


def test_bytes_that_are_no_text_are_kept_all_the_same() -> None:
    assert document_of(entry(b"\xff\x00"), [], "keep")["input"] == "\ufffd\x00"


def test_a_model_with_endless_labels_has_limited_counts() -> None:
    predictions = [{"label": f"l{number}"} for number in range(MOST_LABELS + 50)]
    amounts = amounts_of(entry(), predictions, set())
    assert len(amounts) == MOST_LABELS + 3
    assert amounts[f"labels.{field_of(OTHER_LABELS)}"] == 50


def test_what_was_refused_counts_as_that_alone() -> None:
    assert amounts_of(entry(outcome="refused"), [{"label": "a"}], set()) == {"refused": 1}
