"""A training is killed in its middle and goes on from its last checkpoint, by command; what `runs` and `show` say."""

import json
import os
import signal
import subprocess
import time
import urllib.request

import psutil
import pytest
from story import SACRISTY

EPOCHS = 60


@pytest.fixture(scope="module")
def killed(clone):
    """The run of a real training that was killed after a few of its epochs."""
    clone.run("up")
    before = {run["_id"] for run in clone.json("runs", "--limit", "1000")}
    known = set(clone.home.glob("checkpoints/*/000003-*"))
    words = ["train", "digits", "with", f"epochs={EPOCHS}", "lr=0.003"]
    trainer = subprocess.Popen([str(SACRISTY), *words], cwd=clone.folder, env=clone.environment)
    try:
        wait_for(lambda: set(clone.home.glob("checkpoints/*/000003-*")) - known)
        (python,) = [
            child for child in psutil.Process(trainer.pid).children() if "train.py" in " ".join(child.cmdline())
        ]
        os.kill(python.pid, signal.SIGKILL)
        assert trainer.wait(30) != 0
    finally:
        trainer.kill()
    wait_for(lambda: not any((clone.home / "journals").iterdir()))  # its shipper has sent what there was
    (run,) = [run for run in clone.json("runs", "--limit", "1000") if run["_id"] not in before]
    return run


@pytest.fixture(scope="module")
def resumed(clone, killed):
    """The run that went on."""
    return clone.json("train", "digits", "--resume", str(killed["_id"]))


def wait_for(true):
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def points(clone, run):
    return clone.json("show", str(run["_id"]), "--metrics")["metrics"]["training.loss"]


def tag(clone, run, word):
    """Tag a run as a scientist does in Omniboard."""
    service = clone.json("status")["services"]["omniboard"]
    if not service["ready"]:
        pytest.skip(f"Omniboard is not here: {service['detail']}")
    body, kind = json.dumps({"omniboard": {"tags": [word]}}).encode(), {"Content-Type": "application/json"}
    address = f"{service['url']}/sacristy/api/v1/Runs/{run['_id']}"
    with urllib.request.urlopen(urllib.request.Request(address, body, kind, method="PUT")) as answer:
        assert answer.status == 200


def test_the_new_run_names_its_parent_and_goes_on_where_that_stopped(clone, killed, resumed):
    assert (killed["status"], resumed["status"]) == ("DEAD", "COMPLETED")
    assert resumed["sacristy"]["parent"] == killed["_id"]
    done = killed["sacristy"]["checkpoint"]["number"]
    first, second = points(clone, killed), points(clone, resumed)
    assert [step for step, _ in first[:done]] == list(range(1, done + 1))
    assert [step for step, _ in second] == list(range(done + 1, EPOCHS + 1))
    assert (resumed["config"]["epochs"], resumed["config"]["lr"]) == (EPOCHS, 0.003)


def test_it_comes_to_the_very_result_of_a_training_that_was_never_killed(clone, killed, resumed):
    whole = clone.json("train", "digits", "with", f"epochs={EPOCHS}", "lr=0.003")
    assert resumed["result"] == whole["result"]
    assert [file["digest"] for file in resumed["sacristy"]["weights"]] == [
        file["digest"] for file in whole["sacristy"]["weights"]
    ]
    assert points(clone, resumed) == points(clone, whole)[-len(points(clone, resumed)) :]


def test_show_says_whether_a_run_is_complete_and_why_not(clone, killed, resumed):
    (dead, _), (whole, _) = (clone.run("show", str(run["_id"])) for run in (killed, resumed))
    assert "not complete because  its process died" in " ".join(dead.split(" "))
    assert "continues run" in whole
    counts = resumed["sacristy"]["journal"]
    assert f"{counts['points']} of {counts['points']} arrived" in whole
    assert "not complete" not in whole


def test_a_version_is_not_made_of_a_run_that_is_not_complete(clone, killed):
    _, said = clone.run("build", "digits", "--run", str(killed["_id"]), code=1)
    assert f"run {killed['_id']} is DEAD, not COMPLETED" in said


def test_runs_are_chosen_by_model_status_and_tag(clone, killed, resumed):
    def chosen(*words):
        return [run["_id"] for run in clone.json("runs", "--limit", "1000", *words)]

    assert chosen("--status", "dead") == [killed["_id"]]
    assert killed["_id"] not in chosen("--status", "COMPLETED")
    assert chosen("--tag", "looked at") == []
    tag(clone, killed, "looked at")
    assert chosen("--tag", "looked at") == [killed["_id"]]
    assert chosen("--tag", "looked at", "--status", "completed") == []
    assert resumed["_id"] in chosen("--model", "digits")
    assert chosen("--model", "news") == []
    assert len(clone.json("runs", "-n", "1")) == 1
    said, _ = clone.run("runs", "--model", "news")
    assert "No such run" in said


def test_the_table_of_runs_draws_the_main_metric(clone, resumed):
    shown, _ = clone.run("runs", "--limit", "1000")
    (line,) = [line for line in shown.splitlines() if line.startswith(f"{resumed['_id']} ")]
    bars = "▁▂▃▄▅▆▇█"
    assert sum(letter in bars for letter in line) >= 10
    assert f"accuracy={resumed['result']['accuracy']:.4g}" in line
    assert "yes" in line


@pytest.mark.parametrize(("run", "code"), [("99999", 1), ("abc", 2)])
def test_a_run_that_cannot_go_on_is_told_in_one_line(clone, run, code):
    _, printed = clone.run("train", "digits", "--resume", run, code=code)
    assert run in printed
    assert "Traceback" not in printed


def test_the_run_of_another_model_or_without_a_checkpoint_is_refused(clone, resumed):
    _, said = clone.run("train", "news", "--resume", str(resumed["_id"]), code=1)
    assert "is one of digits, not of news" in said
    _, said = clone.run("train", "digits", "--resume", str(resumed["_id"]), "with", "epochs=61", code=1)
    assert "go on with the same epochs and batch" in said
