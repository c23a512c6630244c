"""Numbers of any library are taken; everything else is refused; whatever becomes plain is JSON and BSON."""

import datetime
import decimal
import fractions
import json
import math
from pathlib import Path

import bson
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sacristy.tracking.values import NotANumber, as_number, as_step, brief, plain

NUMBERS = [1, True, 0.5, 2**64, decimal.Decimal("1.5"), fractions.Fraction(1, 2), np.float32(1), np.int8(3)]
NUMBERS += [np.array(2.0), np.array([2.0]), np.float64("nan"), math.inf]
OTHERS = ["1.5", b"1", None, [1], (1, 2), {}, object(), 1j, np.array([1, 2]), np.complex64(1), 10**400]
OTHERS += [datetime.timedelta(1), np.array(["a"])]


class Sulky:
    def __repr__(self):
        raise RuntimeError("no")

    def item(self):
        raise RuntimeError("no")


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_numbers_of_any_library_are_taken(value):
    assert type(as_number(value)) is float


@pytest.mark.parametrize("value", [*OTHERS, Sulky()], ids=lambda value: type(value).__name__)
def test_anything_else_is_refused(value):
    with pytest.raises(NotANumber):
        as_number(value)


@pytest.mark.parametrize("value", [0.5, math.nan, 2**63, -(2**63) - 1, "3", None])
def test_a_step_is_a_whole_number_of_64_bits(value):
    with pytest.raises(NotANumber):
        as_step(value)


def test_brief_survives_a_repr_that_raises():
    assert "Sulky" in brief(Sulky())


def test_a_huge_integer_has_a_brief_too():
    assert "int object" in brief(10**5000)


text = st.text(st.characters(), max_size=20)  # lone surrogates too
leaves = st.none() | st.booleans() | st.integers() | st.floats() | text | st.binary(max_size=9)
anything = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text | st.integers(), inner, max_size=4)
)


@given(anything)
def test_whatever_becomes_plain_goes_through_json_into_bson(value):
    bson.encode({"value": json.loads(json.dumps(plain(value)))})


def test_keys_follow_sacreds_convention_and_never_collide():
    assert plain({"$a": 1, "b.c": 2, "b,c": 3}) == {"@a": 1, "b,c": 2, "b,c_": 3}


def test_arrays_paths_and_moments_become_what_one_can_read():
    found = plain({"a": np.arange(3), "p": Path("/x"), "t": datetime.datetime(2026, 1, 1), "s": {1}})
    assert found == {"a": [0, 1, 2], "p": "/x", "t": "2026-01-01T00:00:00", "s": [1]}


def test_a_long_text_is_cut_and_says_so():
    assert plain("x" * (3 << 20)).endswith("2097152 more characters left out")


def test_a_value_that_contains_itself_ends():
    loop: list[object] = []
    loop.append(loop)
    bson.encode({"value": plain(loop)})
