"""Ids that cannot be made up, intervals against published values, counts that add up."""

from __future__ import annotations

from datetime import UTC, datetime

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sacristy.gateway.counts import COUNTS, Of, Tally, bucket, field_of, floor, label_of_field, percentiles
from sacristy.gateway.ids import Ids
from sacristy.gateway.intervals import Sample, means_differ, share, shares_differ

NOW = datetime(2026, 11, 21, 7, 9, 30, 123_000, UTC)


def test_an_id_tells_when_it_was_given_out_and_differs_each_time() -> None:
    ids = Ids("key")
    one, two = (ids.new(int(NOW.timestamp() * 1000)) for _ in range(2))
    assert ids.time_of(one) == ids.time_of(two) == NOW
    assert one != two


@pytest.mark.parametrize("forged", ["", "x", "A" * 27, "A" * 28, "../../etc/passwd", "ß" * 27])
def test_an_id_that_was_not_given_out_here_is_none(forged: str) -> None:
    assert Ids("key").time_of(forged) is None


def test_an_id_of_another_key_or_with_a_changed_letter_is_none() -> None:
    identity = Ids("key").new(1_700_000_000_000)
    assert Ids("other").time_of(identity) is None
    changed = identity[:5] + ("A" if identity[5] != "A" else "B") + identity[6:]
    assert Ids("key").time_of(changed) is None


def test_wilsons_interval_is_the_published_one() -> None:
    found = share(81, 263)  # Newcombe 1998, table I: 0.2553 to 0.3662
    assert (round(found["low"], 4), round(found["high"], 4)) == (0.2553, 0.3662)
    assert share(0, 20)["low"] == 0.0
    assert share(0, 0) == {"value": None, "low": None, "high": None, "n": 0}


def test_newcombes_interval_is_the_published_one() -> None:
    found = shares_differ(48, 80, 56, 70)  # Newcombe 1998, table II, (a) with the sides exchanged: 0.0524 to 0.3339
    assert (round(found["low"], 4), round(found["high"], 4)) == (0.0524, 0.3339)
    assert found["difference"] == pytest.approx(0.2)


def test_a_difference_of_means_shrinks_its_interval_with_the_count() -> None:
    few = means_differ(Sample(10, 100.0, 1090.0), Sample(10, 120.0, 1530.0))
    many = means_differ(Sample(1000, 10_000.0, 109_000.0), Sample(1000, 12_000.0, 153_000.0))
    assert few["difference"] == many["difference"] == pytest.approx(2.0)
    assert many["high"] - many["low"] < (few["high"] - few["low"]) / 9
    assert means_differ(Sample(), Sample())["difference"] is None


@hypothesis.settings(max_examples=25)
@given(st.lists(st.floats(0.2, 5000), min_size=1, max_size=200))
def test_a_percentile_is_within_a_tenth(values: list[float]) -> None:
    histogram: dict[str, float] = {}
    for value in values:
        histogram[str(bucket(value))] = histogram.get(str(bucket(value)), 0) + 1
    found, last = percentiles(histogram, 0.5, 1.0)
    middle = sorted(values)[(len(values) - 1) // 2]
    assert found == pytest.approx(middle, rel=0.1)
    assert last == pytest.approx(max(values), rel=0.1)


def test_of_nothing_there_is_no_percentile() -> None:
    assert percentiles({}, 0.5, 0.95) == [None, None]


@hypothesis.settings(max_examples=25)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_a_label_survives_being_a_field(label: str) -> None:
    field = field_of(label)
    assert "." not in field
    assert "$" not in field
    assert label_of_field(field) == label


def test_a_flush_adds_to_one_minute_and_one_hour() -> None:
    tally = Tally()
    for _ in range(3):
        tally.add(Of("news", "production", "42"), NOW, {"answered": 1, "labels.Sports": 1}, 12.5)
    operations = tally.operations()[COUNTS]
    names = {operation._filter["_id"] for operation in operations}
    assert names == {"news|production|42|minute|2026-11-21T07:09", "news|production|42|hour|2026-11-21T07:00"}
    added = operations[0]._doc["$inc"]
    assert (added["answered"], added["labels.Sports"], added["timed"], added["ms"]) == (3, 3, 3, 37.5)


def test_minutes_and_hours_begin_where_they_should() -> None:
    assert floor(NOW, "minute").isoformat() == "2026-11-21T07:09:00+00:00"
    assert floor(NOW, "hour").isoformat() == "2026-11-21T07:00:00+00:00"
