"""The picture of a search: well-formed, complete, and nothing in it that could run."""

from xml.etree import ElementTree

from sacristy.tracking.card import card
from sacristy.tracking.search_picture import axis, parallel, picture

SPACE = {"lr": {"low": 0.001, "high": 0.1, "log": True}, "kind": {"choice": ["a", "<b>"]}}
PLAN = {"space": SPACE, "metric": "accuracy", "mode": "max", "trials": 4, "sampler": "asha", "seed": 1}


def trial(number, status, value, kind="a"):
    return {
        "number": number,
        "run": 10 + number,
        "status": status,
        "value": value,
        "values": {"lr": 0.01, "kind": kind},
    }


TRIALS = [
    trial(1, "COMPLETED", 0.9),
    trial(2, "STOPPED", 0.2, "<b>"),
    trial(3, "FAILED", None),
    trial(4, "RUNNING", None),
]
SEARCH = {"plan": PLAN, "trials": TRIALS, "best": [11]}


def test_a_range_by_magnitude_has_its_middle_at_the_geometric_mean():
    assert round(axis(SPACE["lr"])(0.01), 6) == 0.5
    assert [axis(SPACE["lr"])(value) for value in (0.0001, 1.0)] == [0.0, 1.0]


def test_choices_are_spread_evenly():
    assert [axis(SPACE["kind"])(value) for value in ("a", "<b>")] == [0.25, 0.75]


def test_what_has_no_place_lies_in_the_middle():
    assert axis(SPACE["lr"])(None) == axis(SPACE["kind"])("gone") == axis(SPACE["lr"])(float("nan")) == 0.5


def test_there_is_a_line_for_each_trial_with_a_value_and_an_axis_for_each_knob_and_the_metric():
    drawn = ElementTree.fromstring(parallel(PLAN, TRIALS[:2], {11}))
    assert len(drawn.findall("polyline")) == 2
    assert len(drawn.findall("line")) == 3


def test_the_best_is_drawn_last_and_boldest():
    lines = ElementTree.fromstring(parallel(PLAN, TRIALS[:2], {11})).findall("polyline")
    assert "stroke-width:3" in lines[-1].get("style")


def test_names_and_values_are_escaped():
    assert "<b>" not in picture(SEARCH)


def test_a_search_of_which_nothing_is_known_yet_draws_nothing():
    assert picture({"plan": PLAN, "trials": []}) == picture({}) == ""


def test_one_trial_alone_can_be_drawn():
    assert "<circle" in picture(SEARCH | {"trials": TRIALS[:1]})


def test_the_card_of_a_search_shows_it_and_leads_on():
    about = {"sacristy.model": "toy", "status": "COMPLETED", "sacristy.search": SEARCH}
    page = card(about, {"search.best": ([1, 2], [0.5, 0.9])}, 10)
    assert "<h2>Search</h2>" in page
    assert "sacristy search toy --resume 10" in page
    assert "sacristy release toy --run 11" in page


def test_the_card_of_a_trial_says_whose_it_is():
    about = {
        "sacristy.model": "toy",
        "sacristy.trial": {"search": 10, "number": 2, "values": {}},
        "sacristy.stopped_by": 10,
    }
    assert "trial 2 of search 10, which stopped it early" in card(about, {}, 12)
