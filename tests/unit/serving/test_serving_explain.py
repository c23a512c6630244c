"""The optional fifth verb: explanations where they are asked for, and nowhere else."""

import pytest


def ask(client, *instances, **more):
    return client.post("/predict", json={"instances": list(instances), **more})


def test_contributions_come_beside_the_answers_largest_first(explaining_client):
    answer = ask(explaining_client, [3, 16], [3, 1], explain=True).json
    assert [prediction["label"] for prediction in answer["predictions"]] == ["high", "low"]
    assert len(answer["explanations"]) == 2
    assert answer["explanations"][0] == [
        {"feature": "second", "contribution": 16.0},
        {"feature": "first", "contribution": -3.0},
        {"feature": "none", "contribution": 0.0},
    ]


@pytest.mark.parametrize("more", [{}, {"explain": False}])
def test_unasked_the_answer_is_as_without_the_verb(explaining_client, client, more):
    explaining = ask(explaining_client, [3, 16], **more).json
    assert explaining == ask(client, [3, 16]).json
    assert "explanations" not in explaining


@pytest.mark.parametrize("value", [True, False])
def test_a_model_without_the_verb_names_the_field(client, value):
    answer = ask(client, [3, 16], explain=value)
    assert answer.status_code == 422
    assert answer.json["error"]["field"] == "explain"


@pytest.mark.parametrize("value", [1, "true", None, [True]])
def test_only_true_and_false_are_understood(explaining_client, value):
    answer = ask(explaining_client, [3, 16], explain=value)
    assert (answer.status_code, answer.json["error"]["field"]) == (422, "explain")


@pytest.mark.parametrize("first", [8, 9], ids=["returns too few", "explains with NaN"])
def test_a_fault_of_explain_is_a_500_and_only_where_it_is_asked(explaining_client, first):
    assert ask(explaining_client, [first, 1]).status_code == 200
    assert ask(explaining_client, [first, 1], explain=True).json["error"]["code"] == "prediction_failed"


def test_decode_may_refuse_what_is_to_be_explained(explaining_client):
    assert ask(explaining_client, [1, 1], [5, 1], explain=True).json["error"]["field"] == "instances.1"


def test_openapi_shows_it_where_it_is(explaining_client, client):
    with_it, without = (one.get("/openapi.json").json["components"]["schemas"] for one in (explaining_client, client))
    assert with_it["PredictRequest"]["properties"]["explain"]["type"] == "boolean"
    assert with_it["PredictRequest"]["required"] == ["instances"]
    assert "explanations" in with_it["PredictAnswer"]["properties"]
    assert "explanations" not in with_it["PredictAnswer"]["required"]
    assert set(with_it["Contribution"]["properties"]) == {"feature", "contribution"}
    assert "explain" not in without["PredictRequest"]["properties"]
    assert "explanations" not in without["PredictAnswer"]["properties"]


def test_the_inference_protocol_is_unchanged(explaining_client, client):
    tensor = {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [3, 16]}
    answers = [one.post("/v2/models/tiny/infer", json={"inputs": [tensor]}).json for one in (explaining_client, client)]
    assert answers[0] == answers[1]
