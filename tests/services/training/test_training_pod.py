"""What a Job's container runs, as processes here: told to end and gone on with on another disk, killed, cut off."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sacristy.settings import Role
from sacristy.tracking.resync import journals
from sacristy.training.pod import ship

WICK = Path(__file__).parents[2] / "wick"


class Pods:
    """Pods of one Job: each has a disk of its own, all have the token, the database and the store."""

    def __init__(self, server, project, folder):
        self.server, self.project, self.folder = server, project, folder
        self.token = secrets.token_hex(16)
        self.database = server.database(Role.ADMIN)

    def start(self, disk, *words, program=("-m", "sacristy.training.pod", "wick")):
        given = {"SACRISTY_TOKEN": self.token, "SACRISTY_WEIGHTS": str(self.folder / "store"), "SACRISTY_USER": "pod"}
        environment = self.server.environment(self.project, self.folder / disk) | given
        argv = [sys.executable, "-W", "ignore", *program, *words]
        with (self.folder / f"{disk}.log").open("wb") as out:
            return subprocess.Popen(argv, env=environment, stdout=out, stderr=subprocess.STDOUT)

    def said(self, disk):
        """Return what a pod printed."""
        return (self.folder / f"{disk}.log").read_text()

    def runs(self):
        return list(self.database.runs.find({"sacristy.token": self.token}).sort("_id"))

    def until(self, **fields):
        """Wait until the newest run has these fields, and return it."""
        deadline = time.monotonic() + 60
        while not (found := self.database.runs.find_one({"sacristy.token": self.token, **fields}, sort=[("_id", -1)])):
            assert time.monotonic() < deadline, self.runs()
            time.sleep(0.05)
        return found


@pytest.fixture
def wick(project):
    shutil.copytree(WICK, project / "models" / "wick", ignore=shutil.ignore_patterns("__pycache__"))
    (project / "models" / "wick" / "Pipfile.lock").write_text("{}")
    return project


@pytest.fixture
def pods(mongod, wick, tmp_path):
    """Pods of one Job; its runs go at the end: their weights are in no store that another test knows."""
    made = Pods(mongod, wick, tmp_path)
    yield made
    mongod.database().runs.delete_many({"sacristy.token": made.token})


def test_the_next_pod_goes_on_from_the_last_checkpoint_with_the_same_configuration(pods):
    first = pods.start("one", "with", "epochs=5", "stands_at=3", "seed=7")
    pods.until(**{"sacristy.checkpoint.number": 3})
    first.terminate()
    assert first.wait(60) == 143, pods.said("one")
    second = pods.start("two", "with", "epochs=5", "stands_at=3", "seed=7")
    assert second.wait(60) == 0, pods.said("two")
    before, after = pods.runs()
    assert (before["status"], after["status"]) == ("INTERRUPTED", "COMPLETED")
    assert after["sacristy"]["parent"] == before["_id"]
    assert after["config"] == before["config"]
    assert after["result"]["brightness"] == pytest.approx(1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5)
    third = pods.start("three")
    assert third.wait(60) == 0
    assert "there is nothing to go on with" in pods.said("three")
    assert len(pods.runs()) == 2


def test_a_training_that_is_killed_leaves_its_run_and_its_checkpoint(pods):
    pod = pods.start("one", "with", "stands_at=3")
    pods.until(**{"sacristy.checkpoint.number": 3})
    (training,) = [
        child for child in psutil.Process(pod.pid).children() if any("train.py" in word for word in child.cmdline())
    ]
    os.kill(training.pid, signal.SIGKILL)
    assert pod.wait(60) == 137, pods.said("one")
    (run,) = pods.runs()
    assert run["status"] == "DEAD"
    assert run["sacristy"]["kept_checkpoint"]["number"] == 3


def test_what_mongodb_did_not_take_in_time_is_not_called_sent(killable_mongod, wick, tmp_path, monkeypatch):
    pods = Pods(killable_mongod, wick, tmp_path)
    monkeypatch.setenv("SACRISTY_PROJECT", str(wick))
    for name, value in killable_mongod.environment(wick, tmp_path / "one").items():
        monkeypatch.setenv(name, value)
    training = pods.start("one", "with", "stands_at=2", program=(str(wick / "models" / "wick" / "train.py"),))
    pods.until(**{"sacristy.checkpoint.number": 2})
    killable_mongod.kill()
    training.kill()
    training.wait()
    settings = killable_mongod.settings(wick, tmp_path / "one")
    assert ship(settings, patience_s=0) is False
    assert journals(settings)
    killable_mongod.start()
    assert ship(settings, patience_s=60) is True
    assert [run["status"] for run in pods.runs()] == ["DEAD"]
