"""`status` on a checkout whose models run elsewhere: what the site's gateway says is what is shown."""

import json

import httpx
import pytest

from sacristy import client
from sacristy.settings import Settings
from sacristy.stack import afar

OURS, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
UNSEEN = {"version": "1", "digest": OURS, "target": None, "ready": False, "running": None, "url": "", "detail": ""}


def route(digest=OURS, version="1", **beside):
    return {"version": version, "digest": digest, "run": 1, "predict": "/models/lamp/predict"} | beside


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Return the state of lamp's production, asked of a gateway that answers so; `ready`: what the model says."""

    def asked(models, ready=200, state=UNSEEN, url="https://ml.example.org"):
        def answer(request):
            if request.url.path == "/models":
                assert request.headers["Authorization"] == "Bearer a-scientists"
                return httpx.Response(200, json={"models": models}) if models is not None else httpx.Response(502)
            assert (request.url.path, request.url.params["stage"]) == ("/v2/models/lamp/ready", "production")
            return httpx.Response(ready, content=json.dumps({"ready": True}))

        (tmp_path / "secrets").mkdir()
        (tmp_path / "secrets" / "gateway-scientist").write_text("a-scientists")
        original = httpx.Client
        transport = httpx.MockTransport(answer)
        monkeypatch.setattr(client.httpx, "Client", lambda **words: original(**words | {"transport": transport}))
        settings = Settings(project=tmp_path, home=tmp_path, gateway_url=url)
        return afar.told(settings, {"lamp": {"production": dict(state)}})["lamp"]["production"]

    return asked


def test_what_the_gateway_sends_requests_to_is_ready_if_it_says_so(ask):
    found = ask({"lamp": {"production": route()}})
    assert (found["ready"], found["running"], found["url"]) == (True, "1", "https://ml.example.org/models/lamp/predict")


def test_a_model_that_says_no_is_not_ready(ask):
    found = ask({"lamp": {"production": route()}}, ready=503)
    assert (found["ready"], found["running"]) == (False, None)


def test_another_version_that_answers_is_shown_as_running(ask):
    found = ask({"lamp": {"production": route(OTHER, "7")}})
    assert (found["ready"], found["running"]) == (False, "7")


def test_a_canary_beside_it_is_shown(ask):
    canary = {"version": "2", "digest": OTHER, "percent": 10}
    assert ask({"lamp": {"production": route(canary=canary)}})["canary"] == canary


def test_a_stage_that_nothing_answers_for_stays_so(ask):
    assert ask({}) == UNSEEN


def test_a_gateway_that_is_away_is_said(ask):
    found = ask(None)
    assert not found["ready"]
    assert "502" in found["detail"]


@pytest.mark.parametrize("state", [UNSEEN | {"running": "1", "ready": True}])
def test_what_is_seen_here_needs_no_gateway(ask, state):
    assert ask(None, state=state) == state


def test_without_a_site_nobody_is_asked(ask):
    assert ask(None, url="") == UNSEEN
