"""The ledger's queue: never in the way, never without bound, never ended by what is put into it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from pymongo.errors import AutoReconnect, BulkWriteError, PyMongoError, ServerSelectionTimeoutError

from sacristy.errors import InvalidInstance
from sacristy.gateway import ledger as ledgers
from sacristy.gateway.counts import COMPARISONS, COUNTS, MOST_LABELS, OTHER_LABELS, Of, field_of
from sacristy.gateway.feedback import Opinion, _document
from sacristy.gateway.ledger import KEPT_BYTES, Entry, Ledger, amounts_of, document_of
from sacristy.gateway.metrics import Meter
from sacristy.gateway.proxy import Question
from sacristy.gateway.shadow import Comparison
from sacristy.names import Stage
from sacristy.targets.routes import Route, ShareKind

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


def test_what_comes_while_a_rest_is_written_waits_for_the_next_time(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []

    def write(batch: list[Entry]) -> None:
        batches.append(len(batch))
        ledger._forget(batch)
        if len(batches) < 5:
            ledger.note(entry())

    monkeypatch.setattr(ledgers, "BATCH", 3)
    monkeypatch.setattr(ledger, "_write", write)
    for _ in range(4):
        ledger.note(entry())
    assert ledger._flush_all()
    assert (batches, len(ledger._queue)) == ([3, 2], 1)
    assert ledger._flush_all(everything=True)
    assert (batches, len(ledger._queue)) == ([3, 2, 1, 1, 1], 0)


class Counting:
    """A MongoDB that adds counts up, except in the collections that are said to fail."""

    def __init__(self) -> None:
        self.failing: dict[str, PyMongoError] = {}
        self.sums: Counter[str] = Counter()

    def get_database(self, *_: Any, **__: Any) -> Any:
        return {name: self.collection(name) for name in (COUNTS, COMPARISONS)}

    def collection(self, name: str) -> Any:
        def bulk_write(operations: list[Any], ordered: bool) -> None:
            error = self.failing.get(name)
            refused = {each["index"] for each in error.details["writeErrors"]} if error and error.details else ()
            for place, operation in enumerate(operations):
                if place not in refused and (not error or refused):
                    self.sums[operation._filter["_id"]] += operation._doc["$inc"].get("answered", 1)
            if error:
                raise error

        return SimpleNamespace(bulk_write=bulk_write)


@pytest.fixture
def counting(ledger: Ledger) -> Counting:
    """A MongoDB for the ledger, which owes it three counts: a minute, an hour and a comparison."""
    database = Counting()
    ledger._client = database  # type: ignore[assignment]
    question = Question("news", Stage.PRODUCTION, "/predict")
    route = Route("http://own", "42", "sha256:1", 42, "process", "own")
    pair = Comparison(question, ShareKind.MIRROR, route, route, 0.1, 0.1, False, False, 1, 1, "")
    ledger._count([(entry(), [])], [pair])
    return database


def test_counts_that_were_added_are_not_added_again_with_those_that_were_not(
    ledger: Ledger, counting: Counting
) -> None:
    counting.failing[COMPARISONS] = AutoReconnect("gone")
    for _ in range(3):
        assert not ledger._surely(ledger._write_counts)
    counting.failing.clear()
    assert ledger._surely(ledger._write_counts)
    assert (len(counting.sums), set(counting.sums.values()), ledger._owed) == (3, {1}, False)


def test_one_count_that_is_refused_keeps_no_other_from_being_added_once(ledger: Ledger, counting: Counting) -> None:
    counting.failing[COUNTS] = BulkWriteError({"writeErrors": [{"index": 1}]})
    for _ in range(3):
        assert not ledger._surely(ledger._write_counts)
        counting.failing[COUNTS] = BulkWriteError({"writeErrors": [{"index": 0}]})
    counting.failing.clear()
    assert ledger._surely(ledger._write_counts)
    assert (len(counting.sums), set(counting.sums.values())) == (3, {1})


def test_what_comes_after_counts_were_added_is_added_too(ledger: Ledger, counting: Counting) -> None:
    assert ledger._surely(ledger._write_counts)
    ledger._count([(entry(), [])], [])
    assert ledger._surely(ledger._write_counts)
    assert sorted(counting.sums.values()) == [1, 2, 2]


@pytest.mark.parametrize(("keep", "fields"), [("keep", {"input"}), ("hash", {"input_sha256"}), ("none", set())])
def test_of_an_input_only_what_may_be_is_kept(keep: Any, fields: set[str]) -> None:
    assert {name for name in document_of(entry(), [], keep) if name.startswith("input")} == fields


def test_a_huge_input_is_kept_as_its_hash_and_a_huge_output_not_at_all() -> None:
    document = document_of(entry(b"x" * (KEPT_BYTES + 1)), ["y" * KEPT_BYTES], "keep")
    assert "input_sha256" in document
    assert not {"input", "output"} & document.keys()


def test_of_many_predictions_the_labels_are_kept_so_that_users_may_say_what_is_right() -> None:
    shares = {f"label {number}": 1 / 30 for number in range(30)}
    predictions = [{"label": f"l{number}", "probabilities": shares} for number in range(256)]
    document = document_of(entry(), predictions, "keep")
    assert orjson.loads(document["output"])[255] == {"label": "l255"}
    given = _document(Opinion(prediction_id="id", instance=255, label="l255"), document, "shop")
    assert (given["agrees"], given["predicted"]) == (True, "l255")


def test_of_what_was_not_kept_it_is_said_that_it_was_too_large() -> None:
    document = document_of(entry(), ["y" * KEPT_BYTES], "keep")
    with pytest.raises(InvalidInstance, match="too large to be kept"):
        _document(Opinion(prediction_id="id", correct=True), document, "shop")


def test_bytes_that_are_no_text_are_kept_all_the_same() -> None:
    assert document_of(entry(b"\xff\x00"), [], "keep")["input"] == "\ufffd\x00"


def test_a_model_with_endless_labels_has_limited_counts() -> None:
    predictions = [{"label": f"l{number}"} for number in range(MOST_LABELS + 50)]
    amounts = amounts_of(entry(), predictions, set())
    assert len(amounts) == MOST_LABELS + 3
    assert amounts[f"labels.{field_of(OTHER_LABELS)}"] == 50


def labels(ledger: Ledger, version: str) -> set[str]:
    found = [each for each in ledger._late.operations()[COUNTS] if f"|{version}|hour|" in each._filter["_id"]]
    return {name for name in found[0]._doc["$inc"] if name.startswith("labels.")}


def test_the_labels_of_one_version_leave_those_of_another_alone(ledger: Ledger) -> None:
    many = [{"label": f"l{number}"} for number in range(MOST_LABELS + 1)]
    other = replace(entry(), of=Of("reviews", "production", "43"))
    ledger._count([(entry(), many), (other, [{"label": "positive"}])], [])
    assert labels(ledger, "43") == {"labels.positive"}


def test_endless_labels_are_limited_from_one_write_to_the_next(ledger: Ledger) -> None:
    for start in range(0, MOST_LABELS * 3, MOST_LABELS):
        ledger._count([(entry(), [{"label": f"l{start + number}"} for number in range(MOST_LABELS)])], [])
    assert len(labels(ledger, "42")) == MOST_LABELS + 1


def test_what_was_refused_counts_as_that_alone() -> None:
    assert amounts_of(entry(outcome="refused"), [{"label": "a"}], set()) == {"refused": 1}
