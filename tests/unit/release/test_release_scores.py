import pytest
from hypothesis import given
from hypothesis import strategies as st

from sacristy.release import scores


def test_a_classifier_is_scored_by_its_labels():
    predictions = [{"label": "a", "probabilities": {"a": 1.0}}, {"label": "b", "probabilities": {"b": 1.0}}]
    assert scores.score("accuracy", predictions, ["a", "a"]) == 0.5


def test_a_regression_is_scored_by_its_numbers():
    assert scores.score("mean_absolute_error", [1.0, {"value": 3.0}], [2, 5]) == 1.5


def test_macro_f1_weighs_classes_equally():
    assert scores.score("macro_f1", ["a", "a", "a", "b"], ["a", "a", "a", "b"]) == 1.0
    assert scores.score("macro_f1", ["a"] * 4, ["a", "a", "a", "b"]) == pytest.approx(3 / 7)


@given(st.lists(st.sampled_from("ab"), min_size=1))
def test_a_score_of_classes_is_a_share(targets):
    for metric in ("accuracy", "macro_f1"):
        assert 0 <= scores.score(metric, ["a"] * len(targets), targets) <= 1


@pytest.mark.parametrize(
    ("metric", "found", "limit", "margin", "good"),
    [
        ("accuracy", 0.95, 0.95, 0, True),
        ("accuracy", 0.94, 0.95, 0, False),
        ("accuracy", 0.94, 0.95, 0.02, True),
        ("mean_absolute_error", 1.0, 2.0, 0, True),
        ("mean_absolute_error", 2.1, 2.0, 0, False),
        ("mean_absolute_error", 2.1, 2.0, 0.2, True),
        ("accuracy", float("nan"), 0.0, 1, False),
        ("mean_absolute_error", float("nan"), 9.0, 1, False),
    ],
)
def test_a_gate_knows_which_way_is_better(metric, found, limit, margin, good):
    assert scores.reaches(metric, found, limit, margin) is good
