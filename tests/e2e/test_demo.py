"""The demo is the story of the README: nothing set up, one command, a served answer. Once more: a second version."""

import json
import urllib.request

import pytest
from story import ask

STEPS = ["train", "build", "test", "push", "staging: promote, deploy", "production: promote, deploy", "predict"]


@pytest.fixture(scope="module")
def demos(clone):
    return clone, [clone.json("demo"), clone.json("demo")]


def test_it_walks_every_step_and_the_answer_is_right(demos):
    _, (first, _) = demos
    assert list(first["steps"])[-len(STEPS) :] == STEPS
    assert first["answer"]["predictions"][0]["label"] == first["expected"]["label"]
    assert not first["dirty"]
    print({name: round(seconds, 1) for name, seconds in first["steps"].items()})


def test_the_second_version_replaces_the_first_without_a_failed_request(demos):
    _, (first, second) = demos
    assert second["answer"]["run"] == first["answer"]["run"] + 1
    assert second["answer"]["digest"] != first["answer"]["digest"]
    assert second["asked_while_switching"]["asked"] > 0
    assert second["asked_while_switching"]["failed"] == 0


def test_status_tells_models_and_services(demos):
    clone, (_, second) = demos
    status = clone.json("status")
    production = status["models"]["digits"]["production"]
    assert {"version", "digest", "run", "target", "ready", "url"} <= production.keys()
    assert (production["ready"], production["target"]) == (True, "process")
    assert production["digest"] == second["answer"]["digest"]
    assert {"mongodb", "gateway", "omniboard"} <= status["services"].keys()
    assert status["services"]["mongodb"]["ready"]
    assert status["services"]["gateway"]["ready"]


def test_an_answer_names_model_version_digest_and_run(demos):
    clone, (_, second) = demos
    body = {"instances": [[0.0] * 64]}
    by_command = json.loads(clone.run("predict", "digits", "--json", json.dumps(body))[0])
    by_input = json.loads(clone.run("predict", "digits", "--json", "-", text_in=json.dumps(body))[0])
    by_http = ask(f"{second['page']}/predict", body, clone.token)
    assert len({answer.pop("prediction_id") for answer in (by_command, by_input, by_http)}) == 3
    assert by_command == by_input == by_http
    assert by_http.keys() == {"predictions", "model", "version", "digest", "run"}


def test_the_run_leads_back_to_code_data_lock_and_weights(demos):
    clone, (_, second) = demos
    run = clone.json("show", str(second["answer"]["run"]), "--metrics")
    ours = run["sacristy"]
    assert (len(ours["commit"]), ours["dirty"], len(ours["lock"])) == (40, False, 64)
    assert ours["data"]["digest"].startswith("sha256:")
    assert {file["role"] for file in ours["weights"]} == {"weights", "golden", "heldout"}
    assert ours["journal"]["complete"]
    assert ours["acceptance"]["passed"]
    assert len(run["metrics"]["validation.accuracy"]) == run["config"]["epochs"]


def test_the_gateway_has_a_page_for_it(demos):
    clone, (_, second) = demos
    request = urllib.request.Request(second["page"], headers={"Authorization": f"Bearer {clone.token}"})
    with urllib.request.urlopen(request) as page:
        assert "digits" in page.read().decode()
        assert "default-src" in page.headers["Content-Security-Policy"]


def test_omniboard_shows_the_run(demos):
    clone, (_, second) = demos
    service = clone.json("status")["services"]["omniboard"]
    if not service["ready"]:
        assert service["detail"]  # it says plainly why it is not here
        pytest.skip(f"Omniboard is not here: {service['detail']}")
    number = second["answer"]["run"]
    with urllib.request.urlopen(f"{service['url']}/sacristy/api/v1/Runs/{number}") as answer:
        run = json.loads(answer.read())
    assert (run["_id"], run["status"], run["experiment"]["name"]) == (number, "COMPLETED", "digits")
    assert run["result"]["accuracy"] > 0.9


def test_the_doctor_finds_nothing_wrong(demos):
    clone, _ = demos
    assert [finding for finding in clone.json("doctor") if finding["level"] == "error"] == []
