"""The Jenkinsfiles as Groovy's parser sees them, and their shell scripts as shellcheck does."""

import re
import subprocess
import tomllib

import pytest
from services.automation.jenkinsfiles import FILES, ROOT, outlines, shell_steps

from sacristy.automation import jobs
from sacristy.settings import Settings

pytestmark = pytest.mark.groovy

STEPS = {
    "sh",
    "echo",
    "input",
    "junit",
    "archiveArtifacts",
    "readJSON",
    "readFile",
    "script",
    "error",
    "stash",
    "unstash",
}
SECTIONS = {
    *("pipeline", "agent", "parameters", "options", "stages", "stage", "steps", "post", "when", "label", "expression"),
    *("beforeAgent", "always", "failure", "success", "timeout", "retry", "string"),
    *("disableConcurrentBuilds", "skipStagesAfterUnstable"),
}


@pytest.fixture(scope="module")
def calls():
    return outlines()


def test_every_file_is_parsed(calls):
    assert sorted(calls) == FILES
    assert all(found[0]["name"] == "pipeline" for found in calls.values())


def test_what_the_controller_runs_at_its_start_is_parsed():
    names = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "jenkins" / "init").glob("*.groovy"))
    assert sorted(outlines(names)) == names
    assert len(names) == 2


def test_every_call_is_a_section_or_a_step_that_is_known(calls):
    for name, found in calls.items():
        assert {call["name"] for call in found} <= STEPS | SECTIONS, name


def test_every_sh_is_a_plain_text_without_groovys_interpolation(calls):
    for name, found in calls.items():
        shells = [call for call in found if call["name"] == "sh"]
        assert shells
        for call in shells:
            assert call["kinds"] == ["ConstantExpression"], f"{name}:{call['line']}"
            assert call["named"] == {}, f"{name}:{call['line']}"
        assert [call["values"][0] for call in shells] == shell_steps(name)


def test_the_shell_scripts_are_clean(calls, tmp_path):
    for name, found in calls.items():
        for call in found:
            if call["name"] == "sh":
                script = tmp_path / f"{name.replace('/', '-')}-{call['line']}.sh"
                script.write_text(f"#!/bin/sh -xe\n{call['values'][0]}\n")
    scripts = [*map(str, tmp_path.glob("*.sh")), *(str(ROOT / "jenkins" / tool) for tool in ("sacristy", "start"))]
    # SC2154: Jenkins gives the variables. All optional checks are on, but for braces around plain names.
    argv = ["shellcheck", "--enable=all", "--exclude=SC2154,SC2250", *scripts]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout


def test_the_stages_are_those_of_the_way_to_production(calls):
    names = [call["values"][0] for call in calls["Jenkinsfile"] if call["name"] == "stage"]
    wanted = ["check", "data", "train", "build", "test", "push", "staging", "approve", "production", "watch"]
    assert [name for name in names if name in wanted] == wanted
    assert len(names) == len(set(names))


def declared(found):
    named = [
        call["named"]
        for call in found
        if call["name"] == "string" and "input" not in call["stage"] and not call["stage"]
    ]
    return {each["name"]: (each["defaultValue"], each["description"], each["trim"]) for each in named}


def test_parameters_are_declared_as_sync_declares_them(calls, tmp_path):
    settings = Settings(project=tmp_path, repository="git://x/y")
    ours = {
        "Jenkinsfile": (jobs.MODEL, jobs.RUN, jobs.WHY),
        "jenkins/promote.Jenkinsfile": jobs.promote_job(settings).parameters[:3],
    }
    for name, parameters in ours.items():
        wanted = {each.name: (each.default, each.description, "true") for each in parameters}
        assert declared(calls[name]) == wanted


def test_an_input_is_a_step_that_waits_without_an_agent(calls):
    """As a directive it would make its message before anything ran, and hold its agent for a day."""
    for name, found in calls.items():
        asked = [call for call in found if call["name"] == "input"]
        assert asked, name
        for call in asked:
            inside = [each["name"] for each in found if each["stage"] == call["stage"]]
            assert "agent" not in inside
            assert "script" in inside
            assert "COMPARISON" in call["named"]["message"]
            assert call["named"]["submitter"] == "ops"


def test_a_build_s_description_leads_to_the_comparison_and_holds_no_markup_of_others():
    for name in ("Jenkinsfile", "jenkins/promote.Jenkinsfile"):
        text = (ROOT / name).read_text()
        assert '<a href=\\"${env.BUILD_URL}artifact/dossier/comparison.txt\\">' in text
        written = re.findall(r"currentBuild\.description = (.*)", text)
        assert written
        assert not any("params." in each or "env.WHY" in each for each in written)


def test_every_stage_with_steps_is_bounded_in_time(calls):
    timed = {call["stage"] for call in calls["Jenkinsfile"] if call["name"] == "timeout"}
    for call in calls["Jenkinsfile"]:
        if call["name"] == "sh":
            above = {"/".join(call["stage"].split("/")[:depth]) for depth in range(1, 9)}
            assert above & timed, call


def test_no_file_has_a_byte_order_mark_or_a_wrong_quote(calls):
    for name in FILES:
        content = (ROOT / name).read_bytes()
        assert not content.startswith(b"\xef\xbb\xbf")
        assert not re.search(rb'\bsh\s*\(?\s*"', content)


def test_branch_conditions_are_not_used_outside_multibranch_jobs(calls):
    assert not any(call["name"] in ("branch", "changeRequest") for found in calls.values() for call in found)


def test_the_marker_is_a_tier():
    markers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["markers"]
    assert any(marker.startswith("groovy:") for marker in markers)
