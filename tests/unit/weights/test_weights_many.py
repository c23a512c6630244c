from __future__ import annotations

import threading

import pytest

from sacristy.weights.many import AT_ONCE, SMALL, each


def test_results_come_in_order_whatever_the_sizes():
    items = [(number, SMALL if number % 3 else 1) for number in range(20)]
    assert each(lambda number: number * 2, items) == [number * 2 for number in range(20)]


def test_small_ones_go_side_by_side_and_large_ones_alone():
    barrier = threading.Barrier(AT_ONCE, timeout=10)
    each(lambda _: barrier.wait(), [(number, 1) for number in range(AT_ONCE)])
    names = each(lambda _: threading.current_thread().name, [(1, SMALL), (2, SMALL)])
    assert set(names) == {threading.current_thread().name}


def test_the_first_failure_is_raised():
    with pytest.raises(ZeroDivisionError):
        each(lambda number: 1 // number, [(number, 1) for number in range(5)])
