"""The gateway's answers, with the model server replaced by what it would have answered or failed with."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from gunicorn.http.errors import InvalidChunkSize

from sacristy.gateway import asking, proxy
from sacristy.gateway.app import MAX_BODY_BYTES, create_app
from sacristy.gateway.ids import Ids
from sacristy.gateway.ledger import Entry, Ledger
from sacristy.gateway.rights import TokenRole
from sacristy.gateway.tokens import add_token
from sacristy.gateway.upstream import Answer, NotAnswered, TooSlow
from sacristy.names import Stage
from sacristy.settings import Settings
from sacristy.targets.routes import Route, Share, ShareKind, set_route, set_share

DIGEST = "sha256:" + "a" * 64
QUESTION = {"instances": [[0.0]]}
GOOD = Answer(
    200,
    {"content-type": "application/json", "x-sacristy-version": "2", "connection": "close", "server": "x"},
    b'{"predictions": [1]}',
)
Script = Callable[..., None]


def route(url: str = "http://one", version: str = "2") -> Route:
    return Route(url, version, DIGEST, 2, "process", "digits-serve-1")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for model in ("digits", "news"):
        (tmp_path / "models" / model).mkdir(parents=True)
        (tmp_path / "models" / model / "model.toml").touch()
    settings = Settings(project=tmp_path, home=tmp_path / "home")
    set_route(settings.routes_file, "digits", Stage.PRODUCTION, route())
    return settings


@pytest.fixture
def client(settings: Settings) -> FlaskClient:
    client = create_app(settings).test_client()
    token = add_token(settings.tokens_file, "tests", TokenRole.APPLICATION, "tests")
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[str, str]]]:
    """Let the model server answer with each of these in turn; returns what it was asked."""

    def follow(*outcomes: Answer | Exception | Callable[[], Answer | Exception]) -> list[tuple[str, str]]:
        asked: list[tuple[str, str]] = []
        coming = iter(outcomes)

        def ask(method: str, url: str, body: bytes | None, headers: dict[str, str]) -> Answer:
            asked.append((method, url))
            outcome = next(coming)
            outcome = outcome() if callable(outcome) else outcome
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(proxy, "ask", ask)
        monkeypatch.setattr(proxy, "PAUSES_S", (0, 0, 0))
        return asked

    return follow


def test_a_prediction_is_passed_on_with_the_version_that_gave_it(client: FlaskClient, script: Script) -> None:
    asked = script(GOOD)
    answer = client.post("/models/digits/predict", json=QUESTION)
    identity = answer.headers["X-Sacristy-Prediction"]
    assert (answer.status_code, answer.json) == (200, {"prediction_id": identity, "predictions": [1]})
    assert answer.headers["X-Sacristy-Version"] == "2"
    assert "X-Sacristy-Canary" not in answer.headers
    assert "Connection" not in answer.headers
    assert "Server" not in answer.headers
    assert asked == [("POST", "http://one/predict")]


def test_what_a_canary_fails_at_counts_against_it_and_not_against_who_answers(
    settings: Settings, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[Any] = []
    monkeypatch.setattr(Ledger, "note", lambda self, entry: noted.append(entry))
    canary = Share(route("http://two", "3"), 100.0)
    set_share(settings.routes_file, "digits", Stage.PRODUCTION, ShareKind.CANARY, canary)
    script(Answer(500, {}, b""), GOOD)
    secret = add_token(settings.tokens_file, "tests", TokenRole.APPLICATION, "tests")
    client = create_app(settings).test_client()
    answer = client.post("/models/digits/predict", json=QUESTION, headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 200
    entries = [each for each in noted if isinstance(each, Entry)]
    assert [(each.of.version, each.outcome) for each in entries] == [("2", "answered"), ("3", "failed")]


def test_an_id_tells_when_it_was_given_out_however_long_the_answer_took(
    client: FlaskClient, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_700_000_000_000]

    def slow() -> Answer:
        now[0] += 30_000
        return GOOD

    clock = SimpleNamespace(time_ns=lambda: now[0] * 1_000_000, perf_counter=time.perf_counter)
    monkeypatch.setattr(asking, "time", clock)
    script(slow)
    identity = client.post("/models/digits/predict", json=QUESTION).headers["X-Sacristy-Prediction"]
    given = Ids(str(client.application.secret_key)).time_of(identity)
    assert given is not None
    assert given.timestamp() * 1000 == now[0]


def test_a_refusal_of_the_model_server_is_passed_on_and_not_asked_again(client: FlaskClient, script: Script) -> None:
    asked = script(Answer(422, {"content-type": "application/json"}, b'{"error": {}}'))
    assert client.post("/models/digits/predict", json=QUESTION).status_code == 422
    assert len(asked) == 1


def test_who_names_a_version_is_never_sent_to_a_canary(client: FlaskClient, script: Script, settings: Settings) -> None:
    canary = Share(route("http://two", "3"), 100.0)
    set_share(settings.routes_file, "digits", Stage.PRODUCTION, ShareKind.CANARY, canary)
    asked = script(*[GOOD] * 5)
    for path in ("2", "2/infer", "3", "3/infer"):
        address = f"/v2/models/digits/versions/{path}"
        client.post(address, json={}) if path.endswith("infer") else client.get(address)
    assert [url.split("/")[2] for _, url in asked] == ["one", "one", "two", "two"]
    assert client.post("/models/digits/predict", json=QUESTION).headers["X-Sacristy-Canary"] == "1"


def test_a_connection_closed_before_the_answer_is_asked_again_at_the_new_route(
    client: FlaskClient, script: Script, settings: Settings
) -> None:
    def switched() -> Exception:
        set_route(settings.routes_file, "digits", Stage.PRODUCTION, route("http://two", "3"))
        return NotAnswered("ProtocolError")

    asked = script(switched, GOOD)
    assert client.post("/models/digits/predict", json=QUESTION).status_code == 200
    assert [url for _, url in asked] == ["http://one/predict", "http://two/predict"]


def test_an_instance_that_never_answers_gives_503_and_a_time_to_come_back(client: FlaskClient, script: Script) -> None:
    asked = script(*[NotAnswered("refused")] * 9)
    answer = client.post("/models/digits/predict", json=QUESTION)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json["error"]["code"] == "instance_unreachable"
    assert len(asked) == 4


def test_a_time_out_is_not_asked_again(client: FlaskClient, script: Script) -> None:
    asked = script(TooSlow())
    assert client.post("/models/digits/predict", json=QUESTION).status_code == 504
    assert len(asked) == 1


def test_a_model_without_a_deployment_gives_503(client: FlaskClient) -> None:
    answer = client.post("/models/news/predict", json=QUESTION)
    assert (answer.status_code, answer.json["error"]["code"]) == (503, "nothing_deployed")
    assert client.post("/models/digits/predict?stage=staging", json=QUESTION).status_code == 503


def test_an_unknown_model_gives_404_and_the_known_ones(client: FlaskClient) -> None:
    answer = client.post("/models/nwes/predict", json=QUESTION)
    assert answer.status_code == 404
    assert "digits, news" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    "path", ["/models/..%2f..%2fetc/predict", "/models/DIGITS/predict", "/models/digits/predict?stage=x"]
)
def test_words_that_break_the_grammar_give_400(client: FlaskClient, path: str) -> None:
    assert client.post(path, json=QUESTION).status_code in (400, 404)


def test_a_body_above_the_limit_is_refused_before_it_is_sent_on(client: FlaskClient, script: Script) -> None:
    asked = script(GOOD)
    answer = client.post("/models/digits/predict", data=b" " * (MAX_BODY_BYTES + 1), content_type="application/json")
    assert (answer.status_code, answer.json["error"]["code"]) == (413, "body_too_large")
    assert asked == []


@pytest.mark.parametrize("path", ["/models/digits/predict", "/login", "/feedback"])
def test_a_body_of_broken_chunks_is_the_clients_fault(client: FlaskClient, script: Script, path: str) -> None:
    class Broken(io.RawIOBase):  # as Gunicorn reads it
        def readinto(self, buffer: object) -> int:
            raise InvalidChunkSize(b"ZZ")

    asked = script(GOOD)
    kind = "application/json" if path != "/login" else "application/x-www-form-urlencoded"
    body = {"wsgi.input": Broken(), "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    answer = client.post(path, environ_overrides=body, content_type=kind)
    assert (answer.status_code, answer.json["error"]["field"]) == (400, "body")
    assert asked == []


def test_models_lists_versions_and_not_the_instances_addresses(client: FlaskClient) -> None:
    listed = client.get("/models").json["models"]
    assert listed["digits"]["production"]["digest"] == DIGEST
    assert b"http://one" not in client.get("/models").data


def test_a_request_id_is_kept_if_it_is_plain_and_else_replaced(client: FlaskClient) -> None:
    assert client.get("/health", headers={"X-Request-Id": "abcdef-123"}).headers["X-Request-Id"] == "abcdef-123"
    assert len(client.get("/health", headers={"X-Request-Id": "a b<script>"}).headers["X-Request-Id"]) == 32


def test_health_needs_neither_a_database_nor_a_model(tmp_path: Path) -> None:
    empty = Settings(project=tmp_path, home=tmp_path / "none", mongodb_url="mongodb://127.0.0.1:1")
    assert create_app(empty).test_client().get("/health").json == {"status": "ok", "models": 0}


def test_every_page_has_a_strict_content_policy(client: FlaskClient) -> None:
    for path in ("/", "/models/digits", "/models/news", "/no/such/page", "/static/page.js"):
        with client.get(path) as answer:
            policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def test_what_routes_and_models_say_is_escaped(client: FlaskClient, script: Script, settings: Settings) -> None:
    evil = Route("http://one", "<script>alert(1)</script>", DIGEST, 2, "process", "x")
    set_route(settings.routes_file, "digits", Stage.PRODUCTION, evil)
    script(Answer(200, {}, b"{}"))
    for path in ("/", "/models/digits"):
        page = client.get(path).get_data(as_text=True)
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


def test_the_page_shows_the_form_that_the_models_schema_asks_for(client: FlaskClient, script: Script) -> None:
    schema = {"type": "string", "maxLength": 90}
    request = {"properties": {"instances": {"items": schema}}}
    script(Answer(200, {}, orjson.dumps({"components": {"schemas": {"PredictRequest": request}}})))
    page = client.get("/models/digits").get_data(as_text=True)
    assert '<textarea id="text"' in page
    assert 'data-longest="90"' in page


def test_the_page_of_a_model_that_does_not_run_says_so(client: FlaskClient, script: Script) -> None:
    script(*[NotAnswered("refused")] * 9)
    page = client.get("/models/digits")
    assert page.status_code == 503
    assert "does not answer" in page.get_data(as_text=True)


def test_pages_name_no_other_site(client: FlaskClient, script: Script) -> None:
    script(Answer(200, {}, b"{}"))
    folder = Path(client.application.static_folder or "")
    shown = sorted(path.name for path in folder.iterdir() if path.suffix != ".svg")  # whose first word is a name space
    for path in ("/", "/models/digits", *(f"/static/{name}" for name in shown)):
        with client.get(path) as answer:
            text = answer.get_data(as_text=True)
        assert "https://" not in text
        assert "http://" not in text
