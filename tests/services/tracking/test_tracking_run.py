"""A run from start to end against a real mongod."""

import subprocess
import sys
import textwrap

import pytest

from sacristy.settings import Role
from sacristy.tracking.runs import find_run
from sacristy.tracking.series import read_metrics

TRAIN = """
import sacristy
from sacristy import tracking
ex = sacristy.experiment("digits")

@ex.config
def config():
    epochs = 3
    tags = ["first"]

@ex.automain
def main(_run, epochs):
    print("hello from the run")
    for step in range(epochs * 100):
        _run.log_scalar("loss", 1.0 / (step + 1))
    _run.info["note"] = "fine"
    tracking.log_data(_run, "uci-digits", "sha256:" + "0" * 64, 1797)
    return {"accuracy": 0.97}
"""


@pytest.fixture
def train(mongod, project, tmp_path):
    def run(script=TRAIN, *words, check=True, **environment):
        (project / "train.py").write_text(textwrap.dedent(script))
        known = mongod.environment(project, tmp_path / "home") | environment
        argv = [sys.executable, "train.py", *words]
        done = subprocess.run(argv, cwd=project, env=known, capture_output=True, text=True, timeout=120)
        assert not check or done.returncode == 0, done.stderr
        return done

    return run


def newest(mongod):
    db = mongod.database(Role.SERVICE)
    return find_run(db, db.runs.find_one({}, sort=[("_id", -1)])["_id"])


def test_a_run_arrives_whole(train, mongod):
    done = train(TRAIN, "with", "epochs=2")
    print(done.stdout, done.stderr)
    run = newest(mongod)
    assert (run.model, run.status, run.complete, run.result) == ("digits", "COMPLETED", True, {"accuracy": 0.97})
    assert run.config["epochs"] == 2
    assert run.data["rows"] == 1797
    assert "hello from the run" in run.document["captured_out"]
    loss = read_metrics(mongod.database(Role.SERVICE), run.id)["loss"]
    assert list(loss.values) == [1.0 / (step + 1) for step in range(200)]
    assert list(loss.steps) == list(range(200))
