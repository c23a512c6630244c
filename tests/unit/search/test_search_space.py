"""What is varied, and what trials get: the same for the same seed, in any order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sacristy.errors import InvalidSearch
from sacristy.search.plan import knobs
from sacristy.search.space import draw, parse, spell, training_words, within

SPACE = {
    "lr": {"low": 1e-4, "high": 0.1, "log": True},
    "width": {"low": 2, "high": 64, "log": True},
    "layers": {"low": 1, "high": 3, "log": False},
    "decay": {"low": 0.0, "high": 1.0, "log": False},
    "kind": {"choice": ["adam", "sgd"]},
}


def test_a_trial_is_drawn_the_same_in_whatever_order():
    forwards = [draw(SPACE, 7, number) for number in range(1, 20)]
    assert [draw(SPACE, 7, number) for number in range(19, 0, -1)] == forwards[::-1]


def test_other_seeds_and_numbers_draw_other_values():
    assert len({draw(SPACE, seed, number)["decay"] for seed in range(5) for number in range(5)}) == 25


def test_the_order_in_which_knobs_are_declared_does_not_matter():
    assert draw(dict(reversed(SPACE.items())), 1, 1) == draw(SPACE, 1, 1)


@given(st.integers(0, 2**31), st.integers(1, 10**6))
def test_values_lie_within_their_ranges(seed, number):
    values = draw(SPACE, seed, number)
    assert 1e-4 <= values["lr"] <= 0.1
    assert (type(values["width"]), type(values["layers"])) == (int, int)
    assert 2 <= values["width"] <= 64
    assert 1 <= values["layers"] <= 3
    assert values["kind"] in ("adam", "sgd")


def test_shortening_never_leaves_the_range():
    knob = {"low": 0.1234561, "high": 0.9876548, "log": False}
    assert [within(knob, knob[end]) for end in ("low", "high")] == [knob["low"], knob["high"]]
    assert within(knob, 0.33333333) == 0.333333
    assert within({"choice": [0.123456789]}, 0.123456789) == 0.123456789


def test_by_magnitude_a_low_decade_is_as_likely_as_a_high_one():
    drawn = [draw(SPACE, 1, number)["lr"] for number in range(300)]
    assert 60 < sum(value < 1e-3 for value in drawn) < 140


@pytest.mark.parametrize(
    ("text", "knob"),
    [
        ("lr=1e-4..0.1:log", {"low": 1e-4, "high": 0.1, "log": True}),
        ("width=2..8", {"low": 2, "high": 8, "log": False}),
        ("shift=-2..-1", {"low": -2, "high": -1, "log": False}),
        ("decay=0,0.1,0.3", {"choice": [0, 0.1, 0.3]}),
        ("kind=adam,sgd", {"choice": ["adam", "sgd"]}),
        ("fused=true,false", {"choice": [True, False]}),
    ],
)
def test_the_command_line_spells_knobs(text, knob):
    name, found = parse(text)
    assert found == knob
    assert knobs([text]) == {name: knob}
    assert parse(spell(name, found)) == (name, found)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("lr", "is not NAME=LOW..HIGH"),
        ("=1..2", "is not NAME=LOW..HIGH"),
        ("lr=a..b", "no range of numbers"),
        ("lr=2..1", "low must be less than high"),
        ("lr=0..1:log", "log needs a low above 0"),
        ("lr=1..1", "low must be less than high"),
    ],
)
def test_a_knob_that_makes_no_sense_is_refused(text, reason):
    with pytest.raises(InvalidSearch, match=reason):
        knobs([text])


def test_a_trials_values_come_last_and_therefore_win():
    words = training_words(["with", "epochs=3", "lr=9"], {"lr": 0.1, "kind": "adam"}, "search 1, trial 2")
    assert words == ["--comment", "search 1, trial 2", "with", "epochs=3", "lr=9", "lr=0.1", "kind='adam'"]


def test_the_users_own_comment_stays():
    assert training_words(["-c", "mine"], {"lr": 0.1}, "ours") == ["-c", "mine", "with", "lr=0.1"]
