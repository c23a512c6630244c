import pytest

from sacristy.release.golden import difference

ANSWER = {"label": "a", "probabilities": {"a": 0.9, "b": 0.1}}


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (ANSWER, None),
        ({"label": "a", "probabilities": {"a": 0.90000001, "b": 0.1}}, None),
        ({"label": "b", "probabilities": {"a": 0.9, "b": 0.1}}, "prediction.label is 'b', expected 'a'"),
        ({"label": "a", "probabilities": {"a": 0.8, "b": 0.1}}, "prediction.probabilities.a is 0.8, expected 0.9"),
        ({"label": "a"}, "prediction has the keys ['label'], expected ['label', 'probabilities']"),
        ("a", "prediction is 'a', expected {'label'"),
        ({"label": "a", "probabilities": {"a": True, "b": 0.1}}, "prediction.probabilities.a is True, expected 0.9"),
        ({"label": "a", "probabilities": {"a": float("nan"), "b": 0.1}}, "prediction.probabilities.a is nan"),
    ],
)
def test_the_first_difference_is_named(found, line):
    said = difference(ANSWER, found, 1e-4)
    assert said is None if line is None else str(said).startswith(line)


def test_lists_are_compared_entry_by_entry():
    assert difference([1, [2, 3]], [1, [2, 4]], 0.1) == "prediction[1][1] is 4, expected 3"
    assert difference([1, 2], [1], 0.1) == "prediction has 1 entries, expected 2"
