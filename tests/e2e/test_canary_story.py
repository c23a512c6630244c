"""Promote, canary, promote, rollback, under a load that never stops: no request fails."""

import json
import time
import urllib.error
import urllib.request

import pytest
from story import Load

pytestmark = pytest.mark.timeout(900)  # two versions are trained and judged first
BODY = {"instances": [[0.0] * 64]}


@pytest.fixture(scope="module")
def story(clone):
    clone.run("up")
    toml = (clone.folder / "models/digits/model.toml").read_text()
    slow = toml.replace("latency_p95_ms = 50\n", "latency_p95_ms = 5000\n").replace("margin = 0.01", "margin = 1.0")
    clone.commit("models/digits/model.toml", slow)  # not what is told here: the gate has stories of its own
    versions = []
    for _ in range(2):
        clone.run("train", "digits", "with", "epochs=12")
        versions.append(clone.json("release", "digits")["version"])
    clone.run("promote", f"digits:{versions[0]}", "production", "--why", "the first")
    clone.run("deploy", "digits", "production")
    yield clone, *versions
    clone.commit("models/digits/model.toml", toml)


def load_on(clone):
    return Load(clone.json("status")["services"]["gateway"]["url"] + "/models/digits/predict", BODY, clone.token)


def production(clone):
    return clone.json("status")["models"]["digits"]["production"]


def instances(clone):
    return [path.stem for path in (clone.home / "logs").glob("digits-production-*.log")]


def test_a_canary_answers_its_share_and_is_dropped_without_a_failed_request(story):
    clone, first, second = story
    with load_on(clone) as load:
        clone.run("deploy", "digits", "--canary", "50")
        assert production(clone)["canary"]["version"] == second
        clone.run("canary", "digits", "--drop")
    assert load.failures == []
    assert set(load.versions) == {first, second}
    assert "canary" not in production(clone)
    assert len(instances(clone)) == 1


def test_a_mirror_answers_nobody_and_is_compared(story):
    clone, first, second = story
    with load_on(clone) as load:
        clone.run("deploy", "digits", "--mirror", "100")
        deadline = time.monotonic() + 30
        while (shown := clone.json("canary", "digits")["mirror"])["requests"] < 50:
            assert time.monotonic() < deadline
    assert set(load.versions) == {first}
    assert (shown["version"], shown["percent"], shown["agreement"]["value"]) == (second, 100, 1.0)
    assert (shown["failures"]["a"], shown["failures"]["b"]) == (0, 0)
    assert shown["latency_ms"]["low"] <= shown["latency_ms"]["difference"] <= shown["latency_ms"]["high"]
    clone.run("canary", "digits", "--drop")


def test_what_was_answered_is_counted(story):
    clone, first, second = story
    found = clone.json("stats", "digits")["versions"]
    assert found[first]["requests"] > found[second]["requests"] > 0
    assert found[first]["failed"] == 0
    assert clone.run("stats", "digits", "--a", first, "--b", second)[0].count("latency") == 1


def test_what_was_not_tested_or_runs_already_is_no_canary(story):
    clone, first, _ = story
    _, told = clone.run("deploy", "digits", "--canary", "10", "--version", first, code=1)
    assert "is what production answers with already" in told
    _, told = clone.run("canary", "digits", code=1)
    assert "has neither a canary nor a mirror" in told


def order(clone, path, body, role="ops"):
    """Order something over HTTP as a role; return status and answer."""
    token = (clone.home / "secrets" / f"gateway-{role}").read_text()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    url = clone.json("status")["services"]["gateway"]["url"] + path
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_ops_order_the_same_over_http_and_nobody_else_does(story):
    clone, first, second = story
    wanted = {"model": "digits", "action": "start", "percent": 20}
    assert order(clone, "/ops/canary", wanted, role="scientist")[0] == 403
    assert order(clone, "/ops/canary", wanted)[0] == 200
    status, told = order(clone, "/ops/promote", {"image": f"digits:{second}", "stage": "production"})
    assert (status, "reason" in told["error"]["message"]) == (409, True)
    shown = order(clone, "/ops/models", None)[1]["models"]["digits"]
    assert shown["stages"]["production"]["canary"] == {"version": second, "percent": 20}
    assert {each["version"]: each["tested"] for each in shown["versions"]}[first]
    assert order(clone, "/ops/audit?model=digits", None)[1]["events"][0]["action"] == "promoted"


def test_after_a_rest_the_canary_is_back(story):
    clone, _, second = story
    clone.run("down")
    clone.run("up")
    assert production(clone)["canary"] | {"url": ""} == {"version": second, "percent": 20, "ready": True, "url": ""}


def test_canary_promote_rollback_under_load_fails_no_request(story):
    clone, first, second = story
    with load_on(clone) as load:
        clone.run("canary", "digits", "--promote", code=1)  # production asks for a reason
        promoted = clone.json("canary", "digits", "--promote", "--why", "the canary sang")
        assert production(clone)["running"] == second
        clone.run("rollback", "digits", "production", "--why", "too loud")
    assert load.failures == []
    assert "started" not in promoted["parts"]  # it ran already
    assert load.versions[-1] == first
    moves = [move["action"] for move in clone.json("audit", "digits") if move["stage"] == "production"]
    assert moves[-2:] == ["promoted", "rolled_back"]
    routes = json.loads((clone.home / "gateway" / "routes.json").read_text())
    assert "canary" not in routes["models"]["digits"]["production"]
    assert len(instances(clone)) == 1
