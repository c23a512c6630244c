"""Several workers of one training as processes here, each as its pod would be: lost, broken, gone on with."""

import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from sacristy.environments import ensure_environment
from sacristy.ranks import free_port
from sacristy.settings import Role, Settings

ROOT = Path(__file__).parents[3]
ENVIRONMENTS = Path(os.environ.get("SACRISTY_ENVIRONMENTS", ROOT / ".sacristy" / "environments"))
WORKERS = 2
LONG_S = 120
pytestmark = pytest.mark.timeout(400)


class Job:
    """The workers of a training: each has a disk of its own, all have the token, the database and the store."""

    def __init__(self, server, project, folder, python):
        self.server, self.project, self.folder, self.python = server, project, folder, python
        self.token, self.port = secrets.token_hex(16), free_port()
        self.database = server.database(Role.ADMIN)
        self.pods = []

    def start(self, attempt, *words, workers=WORKERS):
        """Start the pods of all workers."""
        return [self._pod(f"{attempt}-{number}", number, words, workers) for number in range(workers)]

    def _pod(self, disk, number, words, workers):
        given = {"SACRISTY_TOKEN": self.token, "SACRISTY_WEIGHTS": str(self.folder / "store"), "SACRISTY_USER": "pod"}
        if workers > 1:
            given |= {"SACRISTY_WORKERS": str(workers), "SACRISTY_CHIEF": f"127.0.0.1:{self.port}"}
            given |= {"JOB_COMPLETION_INDEX": str(number)}
        environment = self.server.environment(self.project, self.folder / disk) | given
        argv = [str(self.python), "-W", "ignore", "-m", "sacristy.training.pod", "choir", *words]
        with (self.folder / f"{disk}.log").open("wb") as out:
            pod = subprocess.Popen(argv, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        self.pods.append(pod)
        return pod

    def said(self, disk):
        return (self.folder / f"{disk}.log").read_text()

    def runs(self):
        return list(self.database.runs.find({"sacristy.token": self.token}).sort("_id"))

    def until_checkpoint(self, number):
        """Wait until the newest run has made a checkpoint with this number."""
        query = {"sacristy.token": self.token, "sacristy.checkpoint.number": number}
        deadline = time.monotonic() + LONG_S
        while not self.database.runs.find_one(query):
            assert time.monotonic() < deadline, [path.read_text() for path in self.folder.glob("*.log")]
            time.sleep(0.05)


@pytest.fixture
def job(mongod, project, tmp_path):
    shutil.copytree(
        ROOT / "tests" / "choir", project / "models" / "choir", ignore=shutil.ignore_patterns("__pycache__")
    )
    lock = ROOT / "models" / "digits" / "Pipfile.lock"
    shutil.copy(lock, project / "models" / "choir" / "Pipfile.lock")
    python = ensure_environment(Settings(project=ROOT, environments=ENVIRONMENTS), lock)
    made = Job(mongod, project, tmp_path, python)
    yield made
    for pod in made.pods:
        end(pod)
    mongod.database().runs.delete_many({"sacristy.token": made.token})


def end(pod):
    """End a pod as a node that is lost does: with all its processes, and without a word."""
    for session in (*ranks_of(pod), pod.pid):
        try:
            os.killpg(session, signal.SIGKILL)
        except ProcessLookupError:
            continue
    pod.wait(LONG_S)


def ranks_of(pod):
    """Return the process groups of a pod's ranks, which are sessions of their own."""
    import psutil

    try:
        return [
            child.pid
            for child in psutil.Process(pod.pid).children(recursive=True)
            if os.getpgid(child.pid) == child.pid
        ]
    except (psutil.NoSuchProcess, ProcessLookupError):
        return []


def test_a_worker_that_is_lost_has_all_go_on_from_the_checkpoint_to_what_one_process_comes_to(job, tmp_path):
    chief, other = job.start("first", "with", "epochs=4", "stands_at=2", "seed=5")
    job.until_checkpoint(2)
    end(other)
    assert chief.wait(LONG_S) == 143, job.said("first-0")
    assert "worker 1 was lost" in job.said("first-0")
    pods = job.start("second", "with", "epochs=4", "stands_at=2", "seed=5")
    assert [pod.wait(LONG_S) for pod in pods] == [0, 0], job.said("second-0") + job.said("second-1")
    before, after = job.runs()
    assert (before["status"], after["status"]) == ("INTERRUPTED", "COMPLETED")
    assert (after["sacristy"]["parent"], after["sacristy"]["ranks"]) == (before["_id"], 2)
    assert "[rank 1] epoch 4 at rank 1" in job.said("second-0")
    assert [file["name"] for file in after["sacristy"]["weights"]] == ["model.safetensors"]

    pods = job.start("third", "with", "epochs=4")
    assert [pod.wait(LONG_S) for pod in pods] == [0, 0], job.said("third-0") + job.said("third-1")
    assert len(job.runs()) == 2

    job.token = secrets.token_hex(16)
    (alone,) = job.start("alone", "with", "epochs=4", "seed=5", workers=1)
    assert alone.wait(LONG_S) == 0, job.said("alone-0")
    (whole,) = job.runs()
    assert whole["result"]["ranks"] == 1
    for name in ("weight", "bias"):
        assert flat(after["result"][name]) == pytest.approx(flat(whole["result"][name]), rel=1e-12)


def test_a_rank_that_breaks_ends_the_training_with_its_code_and_its_last_lines(job):
    pods = job.start("first", "with", "stands_at=1", "breaks=1")
    assert [pod.wait(LONG_S) for pod in pods] == [7, 7], job.said("first-0") + job.said("first-1")
    said = job.said("first-0")
    assert "sacristy: worker 1 was the first to end, with code 7" in said
    assert "rank 1 ended with code 7\n" in said
    assert "out of tune" in said.rpartition("worker 1 was the first")[2]
    (run,) = job.runs()
    assert run["status"] == "INTERRUPTED"


def flat(value):
    return [number for row in value for number in flat(row)] if isinstance(value, list) else [value]
