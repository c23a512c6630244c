"""Trainings as Jobs on a real cluster, with a real MongoDB, registry and Ceph: to the end, ended, gone on with."""

import copy
import hashlib
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import rig
from forward import Forward
from services.weights.conftest import ceph  # noqa: F401 - the fixture
from services.weights.faulty import FaultyGateway
from story import ROOT, SACRISTY
from thin import push_environment

from sacristy.settings import Role

pytestmark = [pytest.mark.workloads, pytest.mark.timeout(600)]
PLACE = ("--namespace", "sacristy-trials")


class Trainings:
    """The shop's clone with the model `wick`, as somebody works with it whose pods reach MongoDB and the store."""

    def __init__(self, shop, given):
        self.rig, self.database = shop.rig, shop.database
        self.clone = copy.copy(shop.clone)
        self.clone.environment = shop.clone.environment | given

    def words(self, *words, model="wick"):
        return ("train", model, "--on", "kubernetes", *(("with", *words) if words else ()))

    def train(self, *words):
        return self.clone.json(*self.words(*words))

    def start(self, *words, printed, model="wick"):
        """Start a training and return the command, once its run has a checkpoint with number 3."""
        with printed.open("wb") as out:
            argv = [str(SACRISTY), *self.words(*words, model=model)]
            command = subprocess.Popen(
                argv, cwd=self.clone.folder, env=self.clone.environment, stdout=out, stderr=subprocess.STDOUT
            )
        newest = {"experiment.name": model, "status": "RUNNING", "sacristy.checkpoint.number": 3}
        self.until(lambda: self.database.runs.count_documents(newest), printed, seconds=240)
        return command

    def until(self, holds, printed=None, seconds=120):
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, printed and printed.read_text()
            time.sleep(0.2)

    def left(self, model="wick"):
        """Wait until nothing of a Job is left but its run."""
        names = ("get", "jobs,pods,secrets,services,networkpolicies", "--output", "name")
        self.until(lambda: f"train-{model}" not in self.rig.kubectl(*PLACE, *names))

    def newest(self, count, model="wick"):
        return list(self.database.runs.find({"experiment.name": model}).sort("_id", -1).limit(count))


@pytest.fixture(scope="module")
def trainings(shop, mongod, ceph):  # noqa: F811 - the fixture
    secrets = shop.clone.home / "secrets"
    for role in (Role.TRAINING, Role.SERVICE):
        (secrets / f"mongodb-{role}").write_text(mongod.passwords[role])
    for user in ("training", "serving"):
        shutil.copy(ceph.home / "secrets" / f"ceph-{user}", secrets / f"ceph-{user}")
    packages = add_wick(shop)
    if not cuda_of(packages):
        add_choir(shop, packages)
    database = Forward(rig.NODE, ("127.0.0.1", mongod.port))
    store = FaultyGateway(ceph.s3_endpoint, ceph.s3_ca, rig.NODE)  # with no fault: it takes the TLS off
    given = {
        "SACRISTY_MONGODB_URL": f"mongodb://{rig.NODE}:{database.port}/?directConnection=true",
        "SACRISTY_WEIGHTS": "s3://weights",
        "SACRISTY_WEIGHTS_ENDPOINT": store.url,
    }
    yield Trainings(shop, given)
    store.close()
    database.close()


def add_wick(shop):
    """Commit the model, and push the environment image that trains it."""
    there = shop.clone.folder / "models" / "wick"
    shutil.copytree(ROOT / "tests" / "wick", there, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("Pipfile", "Pipfile.lock"):
        shutil.copy(ROOT / "models" / "digits" / file, there / file)
    shop.clone.git("add", "models/wick")
    shop.clone.git("commit", "-m", "model wick")
    (packages,) = Path(shop.clone.json("env", "make", "wick")["wick"]).parents[1].glob("lib/python3*/site-packages")
    registry = shop.server.registry()
    push_environment(registry, hashlib.sha256((there / "Pipfile.lock").read_bytes()).hexdigest(), packages, train=True)
    registry.close()
    return packages


def cuda_of(packages):
    """Return torch's libraries for graphics processors, which are too much for an image that is pulled by a test."""
    return list(packages.glob("torch/lib/libtorch_cuda.so"))


def add_choir(shop, packages):
    """Commit the model of two workers, and push an environment image that has torch, for a lock of its own."""
    there = shop.clone.folder / "models" / "choir"
    shutil.copytree(ROOT / "tests" / "choir", there, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "models" / "digits" / "Pipfile", there / "Pipfile")
    lock = (ROOT / "models" / "digits" / "Pipfile.lock").read_bytes() + b"\n"
    (there / "Pipfile.lock").write_bytes(lock)
    shop.clone.git("add", "models/choir")
    shop.clone.git("commit", "-m", "model choir")
    registry = shop.server.registry()
    more = ("torch", "numpy", "safetensors")
    push_environment(registry, hashlib.sha256(lock).hexdigest(), packages, train=True, more=more)
    registry.close()


def test_a_job_trains_and_its_run_becomes_an_image(trainings):
    run = trainings.train("epochs=4")
    assert (run["status"], run["config"]["epochs"]) == ("COMPLETED", 4)
    ours = run["sacristy"]
    assert ours["journal"]["complete"] is True
    assert (ours["job"]["node"] in ("lab", "lab2"), ours["job"]["namespace"]) == (True, "sacristy-trials")
    assert "@sha256:" in ours["job"]["image"]
    assert ours["dirty"] is False
    built = trainings.clone.json("build", "wick", "--run", str(run["_id"]))
    assert built["version"] == str(run["_id"])
    trainings.left()


def test_a_pod_that_is_deleted_is_followed_by_one_that_goes_on(trainings, tmp_path):
    command = trainings.start("epochs=6", "stands_at=3", printed=tmp_path / "printed")
    trainings.rig.kubectl(*PLACE, "delete", "pods", "--selector", "dev.sacristy.role=training", "--wait=false")
    code, printed = command.wait(240), (tmp_path / "printed").read_text()
    second, first = trainings.newest(2)
    assert code == 0, printed
    assert (first["status"], second["status"]) == ("INTERRUPTED", "COMPLETED")
    assert second["sacristy"]["parent"] == first["_id"]
    assert f"going on from checkpoint 3 of run {first['_id']}" in printed
    steps = [step for step, _ in trainings.clone.json("show", str(second["_id"]), "--metrics")["metrics"]["brightness"]]
    assert steps == [4, 5, 6]
    assert second["result"]["brightness"] == pytest.approx(1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5 + 1 / 6)


def test_ctrl_c_ends_the_job_with_everything_stored(trainings, tmp_path):
    printed = tmp_path / "printed"
    command = trainings.start("stands_at=3", printed=printed)
    command.send_signal(signal.SIGINT)
    assert command.wait(240) == 130, printed.read_text()
    (run,) = trainings.newest(1)
    assert run["status"] == "INTERRUPTED"
    assert run["sacristy"]["kept_checkpoint"]["number"] == 3
    trainings.left()
    resumed = trainings.clone.json(*trainings.words()[:2], "--on", "kubernetes", "--resume", str(run["_id"]))
    assert (resumed["status"], resumed["sacristy"]["parent"]) == ("COMPLETED", run["_id"])


def test_a_training_that_fails_keeps_its_exit_code_and_its_last_lines(trainings):
    said = "".join(trainings.clone.run(*trainings.words("breaks_with=7"), code=7))
    assert "the wick is wet" in said
    assert "ended with code 7" in said
    (run,) = trainings.newest(1)
    assert run["status"] == "FAILED"


def test_what_pods_cannot_reach_or_is_in_no_commit_is_refused_before_anything_is_made(trainings):
    there = copy.copy(trainings.clone)
    there.environment = trainings.clone.environment | {"SACRISTY_MONGODB_URL": "mongodb://127.0.0.1:27017/"}
    _, said = there.run(*trainings.words(), code=1)
    assert "a pod cannot reach MongoDB at 127.0.0.1:27017" in said
    script = trainings.clone.folder / "models" / "wick" / "train.py"
    before = script.read_text()
    script.write_text(before + "# changed\n")
    _, said = trainings.clone.run(*trainings.words(), code=1)
    script.write_text(before)
    assert "what wick is trained from differs from the last commit" in said


def test_two_pods_train_together_and_where_one_is_deleted_both_go_on(trainings, tmp_path):
    if not (trainings.clone.folder / "models" / "choir").is_dir():
        pytest.skip("the environment's torch is not the one for processors alone")
    printed = tmp_path / "printed"
    command = trainings.start("epochs=5", "stands_at=3", printed=printed, model="choir")
    second = "dev.sacristy.model=choir,dev.sacristy.worker=1"
    trainings.rig.kubectl(*PLACE, "delete", "pods", "--selector", second, "--wait=false")
    code, said = command.wait(240), printed.read_text()
    after, before = trainings.newest(2, "choir")
    assert code == 0, said
    assert (before["status"], after["status"]) == ("INTERRUPTED", "COMPLETED")
    assert (after["sacristy"]["parent"], after["sacristy"]["ranks"]) == (before["_id"], 2)
    assert after["result"]["ranks"] == 2
    for line in (
        "worker 1 was lost",
        f"going on from checkpoint 3 of run {before['_id']}",
        "[rank 1] epoch 5 at rank 1",
    ):
        assert line in said
    assert [file["name"] for file in after["sacristy"]["weights"]] == ["model.safetensors"]
    trainings.left("choir")
