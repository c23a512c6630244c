"""Explanations from a real Gunicorn, whose model has the optional verb; the corpus holds for such a model too."""

from pathlib import Path

import httpx
import pytest

from sacristy.release.requests import load_cases, send

CASES = load_cases(Path(__file__).parents[2] / "requests" / "invalid")
EXPLAIN = """pass

    def explain(self, inputs):
        from sacristy.serving import Contribution

        names = ("first", "second")
        return [[Contribution(feature=n, contribution=v) for n, v in zip(names, values)] for values in inputs]
"""


@pytest.fixture(scope="module")
def explaining(start):
    return start(load=EXPLAIN, limits="threads = 2\ntimeout_s = 20")


def test_contributions_are_sorted_by_magnitude(explaining):
    answer = httpx.post(f"{explaining.url}/predict", json={"instances": [[0.5, 16]], "explain": True}).json()
    assert answer["explanations"] == [
        [{"feature": "second", "contribution": 16.0}, {"feature": "first", "contribution": 0.5}]
    ]
    assert "explanations" not in explaining.ask().json()


def test_a_model_without_the_verb_refuses_and_names_the_field(server):
    answer = httpx.post(f"{server.url}/predict", json={"instances": [[0, 16]], "explain": True})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "explain")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refused_as_its_file_says_by_a_model_that_explains(explaining, case):
    status, _, body = send("127.0.0.1", explaining.port, case.build([3.5, 4.0]), timeout_s=15)
    assert case.check(status, body) is None
