"""The text models go the whole way too, from the real data to an answer in production."""

import json
import os

import pytest

QUESTIONS = {
    "news": ("Striker scores twice as the cup final goes to penalties", "Sports"),
    "reviews": ("Terrible service, cold food, never again.", "negative"),
}


@pytest.fixture(scope="module")
def with_data(clone):
    """The clone, with the public data sets at hand."""
    data = os.environ.get("SACRISTY_DATA")
    if not data:
        pytest.skip("SACRISTY_DATA names no folder with the data sets")
    clone.environment["SACRISTY_DATA"] = data
    clone.run("up")
    yield clone
    del clone.environment["SACRISTY_DATA"]


@pytest.mark.parametrize("model", QUESTIONS)
def test_it_goes_from_data_to_production(with_data, model):
    text, label = QUESTIONS[model]
    run = with_data.json("train", model, timeout=600)["_id"]
    with_data.run("release", model, "--run", str(run))
    with_data.run("promote", f"{model}:staging", "production", "--why", "the story of the text models")
    with_data.run("deploy", model, "production")
    answer = with_data.run("predict", model, "--json", json.dumps({"instances": [text]}))[0]
    assert json.loads(answer)["predictions"][0]["label"] == label
    production = with_data.json("status")["models"][model]["production"]
    assert (production["ready"], production["run"]) == (True, run)
