"""A curve in one line of a terminal, whatever was logged."""

import math

from hypothesis import example, given
from hypothesis import strategies as st

from sacristy.tracking.sparkline import BARS, sparkline


def test_it_rises_with_its_values_and_leaves_a_blank_for_what_is_no_number():
    assert sparkline([0.0, 0.5, math.nan, 1.0]) == f"{BARS[0]}{BARS[4]} {BARS[-1]}"


@given(st.lists(st.floats(), max_size=60))
@example([-1.7e308, 0.0, 1.7e308])  # their distance is not finite
@example([0.0, 5e-324])  # half of it is nothing
def test_every_series_has_a_bar_or_a_blank_for_each_value_shown(values):
    line = sparkline(values)
    assert len(line) <= 24
    assert set(line) <= {*BARS, " "}
    assert line.count(" ") < len(line) or not any(map(math.isfinite, values[-1:]))
