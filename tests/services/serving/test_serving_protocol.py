"""The Open Inference Protocol, as its clients speak it."""

import httpx
import pytest


@pytest.fixture
def client(server):
    with httpx.Client(base_url=server.url) as client:
        yield client


def test_server_and_model_describe_themselves(client):
    assert client.get("/v2").json()["name"] == "sacristy"
    model = client.get("/v2/models/tiny").json()
    assert model["inputs"] == [{"name": "instances", "datatype": "FP64", "shape": [-1, 2]}]
    assert [output["name"] for output in model["outputs"]] == ["label", "probabilities"]


def test_ready_by_server_model_and_version(client):
    for page in ("/v2/health/ready", "/v2/models/tiny/ready", "/v2/models/tiny/versions/7.1/ready"):
        assert client.get(page).json()["ready"] is True


def test_infer_gives_labels_and_probabilities(client):
    tensor = {"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [0, 16, 0, 4]}
    answer = client.post("/v2/models/tiny/infer", json={"id": "q1", "inputs": [tensor]}).json()
    label, probabilities = answer["outputs"]
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("q1", "tiny", "7.1")
    assert label == {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["high", "low"]}
    assert probabilities["shape"] == [2, 2]
    assert probabilities["data"] == [0.0, 1.0, 0.75, 0.25]


def test_an_error_is_text_under_error_with_its_field_beside(client):
    tensor = {"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [0, 16, 0]}
    answer = client.post("/v2/models/tiny/infer", json={"inputs": [tensor]})
    assert answer.status_code == 422
    assert "3 values" in answer.json()["error"]
    assert answer.json()["field"] == "inputs.0.data"
