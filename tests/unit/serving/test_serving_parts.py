import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import BaseModel

from sacristy.errors import (
    DuplicateKey,
    InvalidInstance,
    ModelNotLoadable,
    NotJson,
    PredictionTimedOut,
    ServerOverloaded,
)
from sacristy.serving import Classification, Model, Schema, tensors
from sacristy.serving.app import create_app
from sacristy.serving.body import check_keys
from sacristy.serving.golden import difference
from sacristy.serving.loading import Limits, load_served, read_limits
from sacristy.serving.pipeline import Pipeline
from sacristy.serving.schema import Schemas
from sacristy.serving.worker import refusal


class Echo(Model):
    instance = str
    prediction = str

    def load(self, folder): ...

    def decode(self, instance):
        return instance

    def predict(self, inputs):
        return inputs

    def encode(self, output):
        return output


class Blocked(Echo):
    """Predicts only once its gate is open."""

    def __init__(self):
        self.gate, self.entered = threading.Event(), threading.Event()

    def predict(self, inputs):
        self.entered.set()
        self.gate.wait()
        return inputs


def pipeline(model, on_hang=lambda: None, waiting=1, **limits):
    return Pipeline(model, Schemas(type(model), 4), Limits(**limits), on_hang, waiting)


class TestKeys:
    @pytest.mark.parametrize("text", ["{}", "[1]", '{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}', '{"a": "b:"}'])
    def test_distinct_keys_pass(self, text):
        check_keys(text.encode())

    @pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '[{"x": {"a": 1, "b": 2, "a": 1}}]', r'{"a":1,"\u0061":1}'])
    def test_a_key_twice_is_named(self, text):
        with pytest.raises(DuplicateKey, match=r"^a: "):
            check_keys(text.encode())

    def test_what_is_too_deep_for_python_is_refused(self):
        with pytest.raises(NotJson):
            check_keys(b'{"a":' * 2000 + b"1" + b"}" * 2000)


class TestPipeline:
    def test_answers_are_a_record(self):
        assert pipeline(Echo()).answer(["a", "b"]).predictions == ["a", "b"]

    def test_a_prediction_that_takes_too_long_is_reported_once(self):
        model, hangs = Blocked(), []
        with pytest.raises(PredictionTimedOut):
            pipeline(model, lambda: hangs.append(1), timeout_s=0.01).answer(["a"])
        model.gate.set()
        assert hangs == [1]

    def test_the_queue_is_bounded_and_empties(self):
        model = Blocked()
        line = pipeline(model, threads=1, waiting=0)
        with ThreadPoolExecutor(1) as client:
            first = client.submit(line.answer, ["a"])
            assert model.entered.wait(5)
            with pytest.raises(ServerOverloaded):
                line.answer(["b"])
            model.gate.set()
            assert first.result().predictions == ["a"]
        assert line.answer(["c"]).predictions == ["c"]

    def test_waiting_longer_than_the_timeout_is_overload(self):
        model = Blocked()
        line = pipeline(model, threads=1, waiting=1, timeout_s=0.01)
        with pytest.raises(PredictionTimedOut):
            line.answer(["a"])
        with pytest.raises(ServerOverloaded):
            line.answer(["b"])
        model.gate.set()


class TestHealth:
    def test_numbers_may_differ_a_little(self):
        assert difference({"a": [1.0, "x"]}, {"a": [1.00001, "x"]}, 1e-4) == ""

    @pytest.mark.parametrize(
        ("left", "right", "place"),
        [
            ([1], [2], "0 is 2"),
            ({"a": 1}, {"b": 1}, "the answer"),
            ([1], [1, 1], "the answer"),
            (True, 1, "the answer"),
        ],
    )
    def test_the_first_difference_is_named(self, left, right, place):
        assert difference(left, right, 1e-4).startswith(place)

    @pytest.mark.parametrize("golden", ["[]", '[{"instance": [1, 1]}]', '[{"instance": [99, 1], "prediction": {}}]'])
    def test_without_good_golden_examples_it_is_never_ready(self, app_folder, golden):
        (app_folder / "weights" / "golden.json").write_text(golden)
        client = create_app(app_folder).test_client()
        assert client.get("/v2/health/ready").status_code == 503
        assert client.get("/v2/health/live").status_code == 200
        assert client.post("/predict", json={"instances": [[0, 16]]}).json["error"]["code"] == "model_not_ready"


class TestLoading:
    @pytest.mark.parametrize(
        ("path", "text"),
        [
            ("model/serve.py", "x = 1"),
            ("model/model.toml", "= nonsense"),
            ("baseline.json", "{}"),
            ("weights/golden.json", "{"),
        ],
    )
    def test_a_broken_app_folder_is_named_by_its_file(self, app_folder, path, text):
        (app_folder / path).write_text(text)
        with pytest.raises(ModelNotLoadable, match=path):
            load_served(app_folder)

    def test_the_golden_tolerance_is_the_gates(self, app_folder):
        (app_folder / "model" / "model.toml").write_text("[gates]\ngolden_tolerance = 0.5\n")
        assert load_served(app_folder).golden_tolerance == 0.5

    def test_limits_have_the_defaults_of_the_project(self):
        from sacristy.model_file import Serving

        assert Serving().model_dump() == vars(read_limits({}))


class TestSchemas:
    def test_a_record_that_lets_nan_or_unknown_fields_pass_is_refused(self):
        class Loose(BaseModel):
            value: float

        kind = type("Other", (Echo,), {"instance": list[Loose]})
        with pytest.raises(ModelNotLoadable, match="Loose must derive"):
            Schemas(kind, 4)

    def test_a_record_is_an_instance(self):
        class Point(Schema):
            x: float

        kind = type("Other", (Echo,), {"instance": Point})
        assert Schemas(kind, 4).parse_request(b'{"instances": [{"x": 1}]}').instances == [Point(x=1)]
        with pytest.raises(InvalidInstance, match=r"^instances\.0\.y"):
            Schemas(kind, 4).parse_request(b'{"instances": [{"x": 1, "y": 2}]}')

    def test_openapi_describes_this_model(self, client):
        document = client.get("/openapi.json").json
        schemas = document["components"]["schemas"]
        assert document["openapi"].startswith("3.1")
        assert schemas["PredictRequest"]["properties"]["instances"]["items"]["minItems"] == 2
        assert set(schemas["PredictAnswer"]["required"]) == {"predictions", "model", "version", "digest", "run"}

    def test_every_reference_of_openapi_leads_somewhere(self, client):
        text = client.get("/openapi.json").text
        names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
        assert names <= set(json.loads(text)["components"]["schemas"])


class TestTensors:
    def test_text_goes_as_bytes_and_answers_as_json(self, text_client):
        tensor = {"name": "x", "shape": [2], "datatype": "BYTES", "data": ["abc", "é"]}
        (output,) = text_client.post("/v2/models/tiny/infer", json={"inputs": [tensor]}).json["outputs"]
        assert output["data"] == ['{"letters":3}', '{"letters":1}']

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"datatype": "FP16"}, "inputs.0.datatype"),
            ({"datatype": "BYTES"}, "inputs.0.datatype"),
            ({"data": [1]}, "inputs.0.data"),
            ({"data": [[1], 2]}, "inputs.0.data"),
            ({"shape": [-1, 2]}, "inputs.0.shape.0"),
            ({"shape": [0, 2], "data": []}, "instances"),
            ({"shape": [1, 0], "data": []}, "inputs.0.shape"),
            ({"data": [1, 99]}, "instances.0.1"),
            ({"data": [1, None]}, "instances.0.1"),
        ],
    )
    def test_what_does_not_fit_is_named(self, client, change, field):
        tensor = {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]} | change
        answer = client.post("/v2/models/tiny/infer", json={"inputs": [tensor]})
        assert (answer.status_code, answer.json["field"]) == (422, field)

    def test_only_the_outputs_asked_for_are_sent(self, client):
        tensor = {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [[1, 2]]}
        question = {"inputs": [tensor], "outputs": [{"name": "label"}]}
        assert len(client.post("/v2/models/tiny/infer", json=question).json["outputs"]) == 1
        question["outputs"] = [{"name": "lable"}]
        assert client.post("/v2/models/tiny/infer", json=question).json["field"] == "outputs.0.name"

    @pytest.mark.parametrize(
        ("kind", "datatype", "shape"),
        [
            (str, "BYTES", [-1]),
            (float, "FP64", [-1]),
            (list[list[float]], "FP64", [-1, -1, -1]),
            (Classification, "BYTES", [-1]),
        ],
    )
    def test_metadata_follows_the_instance(self, kind, datatype, shape):
        schema = Schemas(type("Other", (Echo,), {"instance": kind}), 4).instance_schema
        metadata = tensors.input_kind(schema).metadata
        assert (metadata["datatype"], metadata["shape"]) == (datatype, shape)


def test_what_is_no_http_is_answered_in_json():
    head, body = refusal(ValueError('bad "header"')).split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request")
    assert json.loads(body)["error"]["message"] == 'request: bad "header"'


def test_metrics_count_pages_and_not_addresses(client):
    client.get("/nowhere/1")
    client.get("/nowhere/2")
    assert 'sacristy_requests_total{method="GET",page="other",status="404"} 2.0' in client.get("/metrics").text
