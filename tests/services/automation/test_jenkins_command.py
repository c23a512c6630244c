"""The command `sacristy jenkins`, as people use it, against the recorded controller."""

import json

import pytest
from services.automation.recorded import TOKEN, USER, Question
from story import Clone
from typer.testing import CliRunner

from sacristy import settings as settings_module
from sacristy.cli.main import app
from sacristy.errors import SacristyError

NEWS, PROMOTE = "sacristy/news", "sacristy/promote"


@pytest.fixture
def person(shop, controller, tmp_path):
    clone = Clone(shop.project, tmp_path / "home")
    clone.environment |= {
        "SACRISTY_JENKINS_URL": controller.url,
        "SACRISTY_JENKINS_USER": USER,
        "SACRISTY_JENKINS_TOKEN": TOKEN,
        "SACRISTY_REPOSITORY": shop.repository,
    }
    clone.environment["PYTHONPATH"] = ""
    return clone


@pytest.fixture
def synced(person):
    person.run("jenkins", "sync")
    return person


def test_a_dry_run_prints_and_a_sync_does_once(person, controller):
    printed, said = person.run("jenkins", "sync", "--dry-run")
    assert "create sacristy/news" in printed
    assert "  schedule: nothing -> H 3 * * 1" in printed
    assert "3 to create" in said
    assert controller.state.items == {}
    person.run("jenkins", "sync")
    assert "nothing differs" in person.run("jenkins", "sync")[1]


def test_a_repository_on_a_disk_is_warned_of(person):
    person.environment["SACRISTY_REPOSITORY"] = f"file://{person.folder}"
    assert "ALLOW_LOCAL_CHECKOUT=true" in person.run("jenkins", "sync", "--dry-run")[1]


def test_a_job_goes_only_after_a_yes(synced, controller):
    (synced.folder / "models" / "digits" / "model.toml").unlink()
    _, said = synced.run("jenkins", "sync", code=1, text_in="n\n")
    assert "Remove digits with all builds?" in said
    assert "sacristy/digits" in controller.state.items
    synced.run("jenkins", "sync", text_in="y\n")
    assert "sacristy/digits" not in controller.state.items


def test_a_build_is_followed_to_its_result(synced, controller):
    controller.state.result = "UNSTABLE"
    printed, said = synced.run("jenkins", "build", "news", "--run", "7", "--why", "it's $better", "--follow", code=3)
    assert printed == "checking\ndone\nFinished: UNSTABLE\n"
    assert "sacristy/news #1 ended: UNSTABLE" in said
    assert controller.state.items[NEWS].builds[0].parameters["WHY"] == "it's $better"


def test_a_promotion_is_asked_of_its_job_and_followed(synced, controller):
    controller.state.lines = ["comparing", Question("approve", "Promote news:42 to production?", ("REASON",)), "moved"]
    words = ("jenkins", "promote", "news:42", "production", "--why", "it's $better", "--key", "move-1")
    assert synced.json(*words)["job"] == PROMOTE
    (state,) = synced.json("jenkins", "status", "promote")
    assert state["waits_for"] == "Promote news:42 to production?"
    synced.run("jenkins", "approve", "promote", "--why", "looked at it")
    printed, said = synced.run(*words, "--follow")
    assert printed.splitlines()[-2:] == ["moved", "Finished: SUCCESS"]
    assert f"{PROMOTE} #1 ended: SUCCESS" in said
    (build,) = controller.state.items[PROMOTE].builds
    given = {name: build.parameters[name] for name in ("IMAGE", "STAGE", "WHY", "KEY")}
    assert given == {"IMAGE": "news:42", "STAGE": "production", "WHY": "it's $better", "KEY": "move-1"}
    assert build.answers == {"REASON": "looked at it"}


def test_a_promotion_that_was_refused_is_the_exit_code(synced, controller):
    controller.state.result = "FAILURE"
    digest = f"news@sha256:{'a' * 64}"
    _, said = synced.run("jenkins", "promote", digest, "staging", "--follow", code=1)
    assert "ended: FAILURE" in said
    assert controller.state.items[PROMOTE].builds[0].parameters["IMAGE"] == digest


def test_a_key_that_was_used_names_the_build_that_has_it(synced):
    first = synced.json("jenkins", "build", "news", "--key", "mine-1")
    again = synced.json("jenkins", "build", "news", "--key", "mine-1")
    assert (first["build"], first["started_before"]) == (1, False)
    assert (again["build"], again["started_before"]) == (1, True)
    assert again["url"].endswith("/job/sacristy/job/news/1/")


def test_a_build_that_waits_is_shown_approved_and_the_next_one_refused(synced, controller):
    controller.state.lines = [Question("approve", "Promote news:7?\nand more", ("REASON",)), "promoted"]
    synced.json("jenkins", "build", "news")
    (state,) = synced.json("jenkins", "status", "news")
    assert (state["building"], state["waits_for"]) == (True, "Promote news:7?")
    synced.run("jenkins", "approve", "news", "--why", "looked at it")
    assert controller.state.items[NEWS].builds[0].answers == {"REASON": "looked at it"}
    synced.json("jenkins", "build", "news")
    assert synced.json("jenkins", "approve", "news", "--refuse")["answer"] == "refused"
    assert controller.state.items[NEWS].builds[1].aborted


def test_a_running_build_is_aborted(synced, controller):
    controller.state.lines = [Question("approve", "Promote?")]
    synced.json("jenkins", "build", "news")
    assert synced.json("jenkins", "abort", "news") == {"job": NEWS, "build": 1}
    _, said = synced.run("jenkins", "abort", "digits", code=1)
    assert "no running build of sacristy/digits" in said


BAD = [
    ({"SACRISTY_JENKINS_URL": ""}, ["sync"], "jenkins_url is not set"),
    ({"SACRISTY_JENKINS_TOKEN": "wrong"}, ["sync"], "does not accept the token of sacristy"),
    ({"SACRISTY_JENKINS_TOKEN": ""}, ["sync"], "jenkins-token is missing"),
    ({"SACRISTY_REPOSITORY": ""}, ["sync"], "the setting repository is empty"),
    ({"SACRISTY_JENKINS_FOLDER": "../x"}, ["sync"], "setting jenkins_folder"),
    ({"SACRISTY_BRANCH": "a b"}, ["sync"], "setting branch"),
    ({}, ["build", "nwes"], "there is no model 'nwes'"),
    ({}, ["build", "news", "--run", "x"], "not a valid run"),
    ({}, ["build", "news", "--key", "a b"], "not a valid key"),
    ({}, ["build", "news"], "Jenkins has no job sacristy/news"),
    ({}, ["promote", "news:1", "production"], "moving news:production needs a reason"),
    ({}, ["promote", "nwes:1", "staging"], "there is no model 'nwes'"),
    ({}, ["promote", "news:1", "staging"], "Jenkins has no job sacristy/promote"),
    ({}, ["promote", "news:--x", "staging"], "not a valid"),
    ({}, ["promote", "news:1", "prod"], "not a valid stage"),
    ({}, ["status"], "Jenkins has no folder sacristy"),
    ({}, ["approve", "news"], "Jenkins has no job sacristy/news"),
    ({}, ["approve", "../../x"], "not a valid model"),
]


@pytest.fixture
def here(person, monkeypatch):
    """Run the command in this process, as the person; return its error."""
    monkeypatch.chdir(person.folder)

    def run(given, *words):
        for name, value in {**person.environment, **given}.items():
            if name.startswith("SACRISTY_"):
                monkeypatch.setenv(name, value)
        settings_module.load.cache_clear()
        return CliRunner().invoke(app, ["jenkins", *words]).exception

    yield run
    settings_module.load.cache_clear()


@pytest.mark.parametrize(("given", "words", "said"), BAD, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_told(here, given, words, said):
    error = here(given, *words)
    assert isinstance(error, SacristyError)
    assert said in str(error)
    assert "\n" not in str(error) + error.advice
    assert error.advice


def test_an_address_without_jenkins_is_told(person):
    person.environment["SACRISTY_JENKINS_URL"] = "http://127.0.0.1:9"
    _, error = person.run("jenkins", "abort", "news", code=1)
    assert "does not answer: connection refused" in error
    assert len(error.splitlines()) == 1


def test_json_is_json(synced):
    assert json.loads(synced.run("jenkins", "sync", "--json")[0])["steps"] == []
    assert [state["job"] for state in synced.json("jenkins", "status")] == ["digits", "news", "promote"]
