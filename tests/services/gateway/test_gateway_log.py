"""Predictions, feedback and statistics against a real MongoDB, as the user with the least rights."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from pymongo.errors import OperationFailure

from sacristy.gateway import proxy as proxies
from sacristy.gateway.app import create_app
from sacristy.gateway.counts import COMPARISONS, COUNTS, Of, Tally, field_of
from sacristy.gateway.proxy import Proxy, Question
from sacristy.gateway.shadow import Comparison
from sacristy.gateway.statistics import figures
from sacristy.gateway.upstream import Answer
from sacristy.names import Stage
from sacristy.settings import Role, Settings
from sacristy.stack.init import init
from sacristy.targets.routes import Route, Share, ShareKind, set_route, set_share

MODELS = (f"news-{number}" for number in itertools.count())
LABELS = {b'{"instances": ["a"]}': "World", b'{"instances": ["b"]}': "Sports"}


class House:
    """A gateway before one model whose answer depends on what it is asked."""

    def __init__(self, settings: Settings, database: Any) -> None:
        self.settings, self.database, self.model = settings, database, next(MODELS)
        self.privacy('inputs = "keep"')
        self.point("1")
        app = create_app(settings)
        self.proxy = Proxy(settings)
        self.clients = {role: self._client(app.test_client(), role) for role in ("application", "scientist", "ops")}

    def _client(self, client: FlaskClient, role: str) -> FlaskClient:
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {self.settings.secret(f'gateway-{role}')}"
        return client

    def privacy(self, line: str) -> None:
        folder = self.settings.project / "models" / self.model
        folder.mkdir(parents=True, exist_ok=True)
        gates = '[gates]\nmetric = "accuracy"\nminimum = 0.5\n'
        (folder / "model.toml").write_text(f'title = "News"\n{gates}[privacy]\n{line}\n')

    def point(self, version: str) -> Route:
        route = Route(f"http://v{version}", version, "sha256:" + version * 64, int(version), "process", f"i{version}")
        set_route(self.settings.routes_file, self.model, Stage.PRODUCTION, route)
        return route

    def ask(self, text: str = "a") -> str:
        body = orjson.dumps({"instances": [text]}).replace(b":[", b": [")
        path = f"/models/{self.model}/predict"
        answer = self.clients["application"].post(path, data=body, content_type="application/json")
        assert answer.status_code == 200, answer.text
        return str(answer.json["prediction_id"])

    def say(self, identity: str, **opinion: Any) -> Any:
        body = {"prediction_id": identity, **opinion}
        return self.clients["application"].post("/feedback", json=body)

    def numbers(self, **asked: Any) -> Any:
        answer = self.clients["scientist"].get(f"/models/{self.model}/statistics", query_string=asked)
        assert answer.status_code == 200, answer.text
        return answer.json

    def logged(self, count: int) -> list[dict[str, Any]]:
        """Return the model's logged predictions, waiting for so many of them and for their counts."""
        deadline = time.monotonic() + 15
        while True:
            found = list(self.database.predictions.find({"of.model": self.model}))
            hours = self.database[COUNTS].find({"model": self.model, "span": "hour"})
            if len(found) >= count <= sum(hour.get("answered", 0) for hour in hours):
                return found
            assert time.monotonic() < deadline, f"{len(found)} of {count}"
            time.sleep(0.05)


@pytest.fixture
def make(mongod: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., House]:
    def ask(method: str, url: str, body: bytes | None, headers: object) -> Answer:
        label = LABELS.get(body or b"", "World")
        answer = {"predictions": [{"label": label, "probabilities": {label: 0.9}}], "version": url[8:9]}
        return Answer(200, {"content-type": "application/json"}, orjson.dumps(answer))

    def begin(mongodb_url: str = "") -> House:
        url = mongodb_url or mongod.url(Role.GATEWAY)
        settings = Settings(project=tmp_path, home=tmp_path / "home", mongodb_url=url)
        init(settings)
        return House(settings, mongod.database(Role.ADMIN))

    monkeypatch.setattr(proxies, "ask", ask)
    return begin


def test_a_prediction_is_kept_with_what_led_to_it(make: Callable[..., House]) -> None:
    house = make()
    identity = house.ask("a")
    (kept,) = house.logged(1)
    assert (kept["id"], kept["run"], kept["user"]) == (identity, 1, "application")
    assert kept["of"] == {"model": house.model, "stage": "production", "version": "1"}
    assert orjson.loads(kept["input"]) == {"instances": ["a"]}
    assert orjson.loads(kept["output"])[0]["label"] == "World"
    assert kept["ms"] > 0


@pytest.mark.parametrize(("line", "field"), [('inputs = "hash"', "input_sha256"), ('inputs = "none"', None)])
def test_a_models_privacy_decides_what_is_kept(make: Callable[..., House], line: str, field: str | None) -> None:
    house = make()
    house.privacy(line)
    house.ask("a")
    (kept,) = house.logged(1)
    assert [name for name in kept if name.startswith("input")] == ([field] if field else [])


def test_the_gateway_may_do_nothing_else_in_the_database(mongod: Any) -> None:
    database = mongod.database(Role.GATEWAY)
    for forbidden in (
        lambda: database.runs.find_one(),
        lambda: database.predictions.delete_many({}),
        lambda: database.promotions.insert_one({}),
        lambda: database.feedback.update_one({}, {"$set": {"agrees": True}}),
        lambda: database.locks.find_one(),
    ):
        with pytest.raises(OperationFailure, match="not authorized"):
            forbidden()


def test_predictions_are_a_time_series_that_forgets(mongod: Any) -> None:
    (found,) = mongod.database(Role.ADMIN).list_collections(filter={"name": "predictions"})
    assert found["type"] == "timeseries"
    assert found["options"]["expireAfterSeconds"] == 30 * 86_400


def test_without_the_database_every_request_is_answered(make: Callable[..., House]) -> None:
    house = make("mongodb://127.0.0.1:1/sacristy")
    start = time.monotonic()
    assert len({house.ask("a") for _ in range(200)}) == 200
    assert time.monotonic() - start < 5
    metrics = house.clients["scientist"].get("/metrics").get_data(as_text=True)
    assert "sacristy_gateway_predictions_total" in metrics
    away = house.clients["scientist"].get(f"/models/{house.model}/statistics")
    assert (away.status_code, away.json["error"]["code"]) == (503, "database_unreachable")


def test_feedback_right_after_the_answer_is_taken_once(make: Callable[..., House]) -> None:
    house = make()
    identity = house.ask("a")
    first, again = house.say(identity, correct=True), house.say(identity, correct=True)
    assert (first.status_code, again.status_code) == (201, 200)
    assert (first.json["agrees"], first.json["label"], again.json["new"]) == (True, "World", False)
    assert house.say(identity, correct=False).status_code == 409
    assert house.say(identity, label="Sports", user="u-17").status_code == 201
    agreement = house.numbers()["versions"]["1"]["agreement"]
    assert (agreement["n"], agreement["value"]) == (2, 0.5)
    house.logged(1)
    assert house.database.feedback.find_one({"prediction": identity})["input"] == '{"instances": ["a"]}'


@pytest.mark.parametrize(
    ("opinion", "status"),
    [
        ({"correct": True, "label": "World"}, 422),
        ({}, 422),
        ({"correct": "yes"}, 422),
        ({"correct": True, "instance": 5}, 422),
        ({"correct": True, "extra": 1}, 422),
        ({"correct": True, "user": "x" * 65}, 422),
        ({"correct": True, "comment": "x" * 20_000}, 413),
    ],
)
def test_strange_feedback_is_refused(make: Callable[..., House], opinion: dict[str, Any], status: int) -> None:
    house = make()
    identity = house.ask("a")
    house.logged(1)
    assert house.say(identity, **opinion).status_code == status


def test_feedback_on_what_was_not_predicted_here_is_refused(make: Callable[..., House]) -> None:
    house = make()
    identity = house.ask("a")
    forged = identity[:-1] + ("A" if identity[-1] != "A" else "B")
    for wrong in ("x", "A" * 27, forged):
        answer = house.say(wrong, correct=True)
        assert (answer.status_code, answer.json["error"]["code"]) == (404, "unknown_prediction")


def test_statistics_tell_volume_latency_labels_and_time(make: Callable[..., House]) -> None:
    house = make()
    for text in "aab":
        house.ask(text)
    house.logged(3)
    found = house.numbers(hours=1)["versions"]["1"]
    assert (found["requests"], found["instances"], found["failed"]) == (3, 3, 0)
    assert found["labels"]["World"] == {"count": 2, "share": pytest.approx(2 / 3)}
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p99"]
    assert sum(point["requests"] for point in found["over_time"]) == 3


def test_two_versions_are_compared_with_intervals(make: Callable[..., House]) -> None:
    house = make()
    for version, right in (("1", 4), ("2", 8)):
        house.point(version)
        for number in range(10):
            house.say(house.ask("a"), correct=number < right)
    house.logged(20)
    found = house.numbers()["comparison"]
    assert (found["a"], found["b"], found["agreement"]["n_b"]) == ("1", "2", 10)
    assert found["agreement"]["difference"] == pytest.approx(0.4)
    assert found["agreement"]["low"] < 0.4 < found["agreement"]["high"]
    assert house.numbers(a="2", b="1")["comparison"]["agreement"]["difference"] == pytest.approx(-0.4)


def test_a_mirror_is_compared_and_never_heard(make: Callable[..., House]) -> None:
    house = make()
    other = Route("http://v2", "2", "sha256:" + "2" * 64, 2, "process", "i2")
    set_share(house.settings.routes_file, house.model, Stage.PRODUCTION, ShareKind.MIRROR, Share(other, 100.0))
    for _ in range(5):
        house.ask("a")
    house.logged(5)
    deadline = time.monotonic() + 10
    while house.clients["scientist"].get(f"/models/{house.model}/canary").json["mirror"]["requests"] < 5:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    found = house.clients["scientist"].get(f"/models/{house.model}/canary").json
    assert (found["mirror"]["agreement"]["value"], found["mirror"]["failures"]["difference"]) == (1.0, 0.0)
    assert found["canary"] is None
    assert set(house.numbers()["versions"]) == {"1"}


def test_of_a_canary_only_what_was_counted_since_it_began_is_told(make: Callable[..., House]) -> None:
    house = make()
    own, other = house.point("1"), Route("http://v2", "2", "sha256:" + "2" * 64, 2, "process", "i2")
    asked, tally = Question(house.model, Stage.PRODUCTION, "/predict"), Tally()
    good, failing = ("now", 0.01, False, 1), ("now", 2.0, True, 0)
    for since, seconds, failed, agreed in (("before", 9.0, True, 0), *[good] * 9, failing):
        pair = Comparison(asked, ShareKind.CANARY, own, other, 0.01, seconds, False, failed, agreed, 1, since)
        tally.compare(pair, datetime.now(UTC))
    house.database[COMPARISONS].bulk_write(tally.operations()[COMPARISONS])
    share = Share(other, 10.0, "now")
    found = figures(house.database, (house.model, Stage.PRODUCTION), own, share, 1000.0)
    assert (found.requests, found.failed.value, found.differing.value) == (10, 0.1, 0.1)
    assert (found.slow.value, found.slow.n) == (0.0, 9)  # how long a failure takes says nothing
    assert figures(house.database, (house.model, Stage.PRODUCTION), own, share, 5.0).slow.value == 1.0


def test_a_year_of_a_busy_model_is_answered_at_once(make: Callable[..., House]) -> None:
    house = make()
    tally = Tally()
    now = datetime.now(UTC)
    for hours in range(24 * 30):
        for version in ("1", "2"):
            amounts = {"answered": 14_000, "instances": 14_000, f"labels.{field_of('World')}": 14_000}
            tally.add(Of(house.model, "production", version), now - timedelta(hours=hours), amounts, 5.0)
    house.database[COUNTS].bulk_write(tally.operations()[COUNTS])
    house.numbers(hours=24 * 30)
    start = time.perf_counter()
    found = house.numbers(hours=24 * 30)
    assert time.perf_counter() - start < 0.3
    assert sum(version["requests"] for version in found["versions"].values()) > 20_000_000
