"""The database is away while a model trains. Nothing is lost: the journal is sent, the run is built, and it repeats."""

import subprocess

import pytest


@pytest.fixture(scope="module")
def alone(clone):
    """A training by hand while nothing of the stack runs; what it printed."""
    clone.run("up")
    python = clone.json("env", "make", "digits")["digits"]
    clone.run("down")
    argv = [python, "models/digits/train.py", "with", "epochs=3"]
    done = subprocess.run(argv, cwd=clone.folder, env=clone.environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return clone, done.stdout + done.stderr


@pytest.fixture(scope="module")
def sent(alone):
    """The stack is back, and what stayed behind was sent; the run."""
    clone, _ = alone
    clone.run("up")
    clone.run("resync")
    return clone, clone.json("runs", "--model", "digits", "--limit", "1")[0]


def test_the_training_ends_well_and_says_where_its_run_is_kept(alone):
    clone, printed = alone
    assert f"the run is kept in {clone.home / 'journals'}" in printed
    assert "sacristy resync" in printed


def test_every_point_arrives_once_and_in_order(sent):
    clone, run = sent
    points = clone.json("show", str(run["_id"]), "--metrics")["metrics"]["validation.accuracy"]
    assert [step for step, _ in points] == [1, 2, 3]
    assert (run["status"], run["sacristy"]["journal"]["complete"]) == ("COMPLETED", True)


def test_no_journal_is_left_and_sending_again_changes_nothing(sent):
    clone, run = sent
    assert clone.json("resync") == []
    assert (
        clone.json("runs", "--model", "digits", "--limit", "1")[0]["sacristy"]["journal"] == run["sacristy"]["journal"]
    )


def test_it_can_be_built_and_repeated_with_the_same_figures(sent):
    clone, run = sent
    assert clone.json("build", "digits", "--run", str(run["_id"]))["digest"].startswith("sha256:")
    again = clone.json("reproduce", str(run["_id"]))
    assert again["verdict"] == "equal"
    assert clone.json("show", str(again["second"]))["sacristy"]["repeats"] == run["_id"]
