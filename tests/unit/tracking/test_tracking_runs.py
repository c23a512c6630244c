"""What a run's document says of the run."""

import pytest

from sacristy.tracking.runs import record

ALL = {"complete": True, "arrived": 5, "points": 5}


@pytest.mark.parametrize(
    ("status", "journal", "reason"),
    [
        ("COMPLETED", ALL, ""),
        ("COMPLETED", {"arrived": 3, "points": 5}, "3 of 5 points are here"),
        ("COMPLETED", {"arrived": 5, "points": 5, "lost": 2}, "2 events could not be recorded"),
        ("FAILED", ALL, "it ended as FAILED"),
        ("INTERRUPTED", ALL, "it ended as INTERRUPTED"),
        ("DEAD", {"arrived": 5, "points": 5}, "its process died"),
    ],
)
def test_why_a_run_is_not_complete(status, journal, reason):
    assert record({"_id": 1, "status": status, "sacristy": {"journal": journal}}).incomplete_because == reason
