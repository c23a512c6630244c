import pytest


def ask(client, *instances):
    return client.post("/predict", json={"instances": list(instances)})


def test_one_answer_for_each_instance_with_its_origin(client):
    answer = ask(client, [0, 16], [0, 4]).json
    assert [prediction["label"] for prediction in answer["predictions"]] == ["high", "low"]
    assert answer["predictions"][1]["probabilities"] == {"low": 0.75, "high": 0.25}
    assert (answer["model"], answer["version"], answer["run"], answer["digest"]) == ("tiny", "7.1", 7, "unknown")


def test_the_digest_is_told_from_outside(app_folder, monkeypatch):
    from sacristy.serving.app import create_app

    monkeypatch.setenv("SACRISTY_DIGEST", "sha256:ab")
    answer = ask(create_app(app_folder).test_client(), [0, 16])
    assert answer.json["digest"] == answer.headers["X-Sacristy-Digest"] == "sha256:ab"


@pytest.mark.parametrize("page", ["/predict", "/nowhere", "/metrics", "/v2/health/live"])
def test_every_answer_is_signed(client, page):
    headers = client.get(page).headers
    names = ("Model", "Version", "Run")
    assert [headers[f"X-Sacristy-{name}"] for name in names] == ["tiny", "7.1", "7"]


@pytest.mark.parametrize(
    ("first", "why"), [(2, "raises"), (6, "returns too few outputs"), (7, "answers with NaN")], ids=lambda value: value
)
def test_a_fault_of_the_model_is_a_500_that_shows_nothing_of_it(client, caplog, first, why):
    answer = ask(client, [first, 1])
    assert answer.status_code == 500
    assert answer.json["error"]["code"] == "prediction_failed"
    assert "secret" not in answer.text
    assert any(record.exc_info for record in caplog.records)  # threads of others may log too


def test_decode_may_refuse_an_instance(client):
    answer = ask(client, [1, 1], [5, 1])
    assert answer.status_code == 422
    assert answer.json["error"]["field"] == "instances.1"
    assert answer.json["error"]["expected"] == "a first number that is not 5"


def test_too_many_instances_name_the_limit(client):
    error = ask(client, *[[1, 1]] * 5).json["error"]
    assert error["field"] == "instances"
    assert "at most 4" in error["expected"]


def test_a_wrong_number_is_named_with_its_place(client):
    error = ask(client, [1, 1], [1, "x"]).json["error"]
    assert error["field"] == "instances.1.1"
    assert error["expected"] == "a valid number"
    assert "not 'x'" in error["message"]


def test_a_body_over_the_limit_is_a_413(client):
    answer = client.post("/predict", data=b" " * 5000, content_type="application/json")
    assert answer.status_code == 413
    assert answer.json["error"]["expected"] == "at most 4096 bytes"


def test_the_method_allowed_is_named(client):
    answer = client.get("/predict")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
