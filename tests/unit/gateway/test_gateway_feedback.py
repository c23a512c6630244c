"""Feedback: what is kept is counted, though MongoDB goes away in between."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo.errors import AutoReconnect, DuplicateKeyError

from sacristy.gateway.counts import COUNTS, Of, Said
from sacristy.gateway.feedback import COLLECTION, Box, Opinion
from sacristy.gateway.ids import Ids
from sacristy.gateway.ledger import PREDICTIONS, Ledger
from sacristy.gateway.metrics import Meter

NOW = datetime(2026, 11, 21, tzinfo=UTC)
IDS = Ids("key")


class Shelf:
    """A MongoDB with one prediction; its counts are away."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Shelf:
        assert name in (PREDICTIONS, COUNTS)
        return self

    def get_collection(self, name: str, **_: Any) -> Shelf:
        assert name == COLLECTION
        return self

    def find_one(self, wanted: dict[str, Any]) -> dict[str, Any]:
        of = {"model": "news", "stage": "production", "version": "42"}
        prediction = {"at": NOW, "of": of, "run": 42, "output": '[{"label": "a"}]'}
        return self.kept[wanted["_id"]] if "_id" in wanted else prediction

    def insert_one(self, made: dict[str, Any]) -> None:
        if made["_id"] in self.kept:
            raise DuplicateKeyError("there")
        self.kept[made["_id"]] = made

    def bulk_write(self, *_: Any, **__: Any) -> None:
        raise AutoReconnect("gone")


@pytest.mark.parametrize(("correct", "agreed"), [(True, 1), (False, 0)])
def test_what_is_kept_and_could_not_be_counted_is_counted_later_and_once(correct: bool, agreed: int) -> None:
    told: list[Said] = []
    box = Box(Shelf(), IDS, told.append)  # type: ignore[arg-type]
    opinion = Opinion(prediction_id=IDS.new(int(NOW.timestamp() * 1000)), correct=correct)
    assert [box.give(opinion, "shop")["new"] for _ in range(2)] == [True, False]
    assert told == [Said(Of("news", "production", "42"), NOW, correct)]
    ledger = Ledger(lambda: None, "x", lambda model: "keep", Meter())  # type: ignore[arg-type,return-value]
    ledger._thread = object()  # type: ignore[assignment]
    ledger.note(told[0])
    ledger._write(ledger._peek(1))
    added = [each._doc["$inc"] for each in ledger._late.operations()[COUNTS]]
    assert (added, len(ledger._queue)) == ([{"feedback": 1, "agreed": agreed}] * 2, 0)
