"""Chunks hold every point; outlines draw the same curve with few."""

import itertools
import math
import random
from array import array

from hypothesis import given
from hypothesis import strategies as st

from sacristy.tracking.outline import MOST_BUCKETS, Outline
from sacristy.tracking.series import MOST_POINTS, Filing, unpacked


def outlined(values, most=4, batch=7):
    outline, values = Outline(most), array("d", values)
    for start in range(0, len(values), batch):
        part = array("q", range(start, min(start + batch, len(values))))
        outline.extend(part, values[start : start + batch], part)
    return outline.points()


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=300))
def test_an_outline_keeps_the_ends_and_the_extremes(values):
    steps, kept, _ = outlined(values)
    assert (steps[0], steps[-1]) == (0, len(values) - 1)
    assert (min(kept), max(kept)) == (min(values), max(values))
    assert steps == sorted(set(steps))
    assert kept == [values[step] for step in steps]
    assert len(steps) <= 10


@given(st.lists(st.floats(), max_size=100), st.integers(1, 100), st.integers(1, 100))
def test_an_outline_does_not_depend_on_how_the_points_arrived(values, batch, other):
    assert str(outlined(values, 4, batch)) == str(outlined(values, 4, other))


def test_few_points_are_all_kept():
    assert outlined([3.0, 1.0, 2.0]) == ([0, 1, 2], [3.0, 1.0, 2.0], [0, 1, 2])


def test_a_million_points_become_less_than_ten_thousand():
    steps, _, _ = outlined((math.sin(i / 1000) for i in range(200_000)), MOST_BUCKETS)
    assert 4000 < len(steps) < 10_000


def test_a_nan_does_not_hide_its_neighbours():
    _, kept, _ = outlined([math.nan, 1.0, math.nan, -1.0] * 50)
    assert {1.0, -1.0} <= set(kept)


def test_nothing_but_nan_is_drawn_as_such():
    steps, kept, _ = outlined([math.nan] * 50)
    assert (steps[0], steps[-1]) == (0, 49)
    assert all(math.isnan(value) for value in kept)


def filed(points, batches):
    filing, documents = Filing("loss", 1), {}
    for start, stop in batches:
        steps, values, times = zip(*points[start:stop], strict=True)
        filing.extend(array("q", steps), array("d", values), array("q", times))
        documents |= {chunk.number: chunk.document() for chunk in filing.unsent()}
        filing.sent()
    return documents


def test_chunks_are_the_same_however_the_points_arrived():
    points = [(step, random.random(), step) for step in range(10_000)]
    whole = filed(points, [(0, 10_000)])
    cuts = [0, 1, 5, 4096, 4097, 9000, 10_000]
    assert filed(points, list(itertools.pairwise(cuts))) == whole
    assert [document["count"] for document in whole.values()] == [MOST_POINTS, MOST_POINTS, 10_000 - 2 * MOST_POINTS]
    assert [v for d in whole.values() for v in unpacked("d", d["values"])] == [value for _, value, _ in points]


def test_only_the_last_chunk_is_sent_again():
    filing = Filing("loss", 1)
    filing.extend(array("q", range(5000)), array("d", range(5000)), array("q", range(5000)))
    filing.sent()
    filing.extend(array("q", [5000]), array("d", [0.0]), array("q", [0]))
    assert [chunk.number for chunk in filing.unsent()] == [1]


def test_a_chunk_stays_far_below_a_megabyte():
    (document,) = filed([(0, 0.0, 0)] * MOST_POINTS, [(0, MOST_POINTS)]).values()
    assert sum(len(document[name]) for name in ("steps", "values", "times")) < 100_000
