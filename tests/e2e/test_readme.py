"""The README's commands do what they say, in the order in which they stand there."""

import json
import shlex
import subprocess

from story import ROOT, SACRISTY


def blocks():
    """Return the README's code blocks without a language, as lists of lines."""
    parts = (ROOT / "README.md").read_text().split("```")[1::2]
    return [part.splitlines()[1:] for part in parts if part.startswith("\n")]


STEPS = next(block for block in blocks() if block[0].endswith("sacristy up"))
ASKING = next(block for block in blocks() if "predict" in block[0] and block[0].startswith(".venv"))


def test_the_two_commands_are_tasks_of_the_makefile():
    (start,) = [block for block in blocks() if block[0].startswith("make demo")]
    makefile = (ROOT / "Makefile").read_text()
    assert [line.split("#")[0].split() for line in start] == [["make", "demo"], ["make", "test"]]
    assert "\ndemo:" in makefile
    assert "\ntest:" in makefile


def test_step_by_step_it_goes_the_whole_way(clone):
    clone.run("up")
    clone.run("demo")  # a rollback needs an earlier version, as the README says
    for line in STEPS:
        program, *words = shlex.split(line)
        assert program == ".venv/bin/sacristy"
        clone.run(*words)
    status = clone.json("status")["models"]["digits"]
    assert status["staging"]["ready"]
    assert status["production"]["ready"]
    assert status["production"]["version"] != status["staging"]["version"]


def test_a_model_is_asked_by_command_and_over_http(clone):
    clone.run("demo")
    gateway = clone.json("status")["services"]["gateway"]["url"]
    command, curl = ASKING
    by_command = json.loads(clone.run(*shlex.split(command)[1:])[0])
    line = curl.replace("http://127.0.0.1:8600", gateway)
    by_http = json.loads(subprocess.run(["bash", "-c", line], cwd=clone.folder, check=True, capture_output=True).stdout)
    assert by_command.pop("prediction_id") != by_http.pop("prediction_id")
    assert by_command == by_http
    assert by_http["predictions"][0]["label"] == "0"
    assert SACRISTY.exists()
