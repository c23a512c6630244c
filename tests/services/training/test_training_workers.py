"""Several workers of one training as processes here, each as its pod would be: lost, broken, and too late."""

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
from sacristy.training.pod import Post, join
from sacristy.weights.folder import FolderStore

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

    def start(self, *words):
        """Start the pods of all workers."""
        return [self._pod(number, words) for number in range(WORKERS)]

    def _pod(self, number, words):
        given = {"SACRISTY_TOKEN": self.token, "SACRISTY_WEIGHTS": str(self.folder / "store"), "SACRISTY_USER": "pod"}
        given |= {"SACRISTY_WORKERS": str(WORKERS), "SACRISTY_CHIEF": f"127.0.0.1:{self.port}"}
        given |= {"JOB_COMPLETION_INDEX": str(number)}
        environment = self.server.environment(self.project, self.folder / f"disk-{number}") | given
        argv = [str(self.python), "-W", "ignore", "-m", "sacristy.training.pod", "choir", *words]
        with (self.folder / f"{number}.log").open("wb") as out:
            pod = subprocess.Popen(argv, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        self.pods.append(pod)
        return pod

    def said(self, number):
        return (self.folder / f"{number}.log").read_text()

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


def test_a_worker_that_is_lost_without_a_word_ends_the_attempt_with_everything_stored(job):
    chief, other = job.start("with", "stands_at=2")
    job.until_checkpoint(2)
    end(other)
    assert chief.wait(LONG_S) == 143, job.said(0)
    assert "worker 1 was lost" in job.said(0)
    assert "[rank 1] epoch 2 at rank 1" in job.said(0)
    (run,) = job.runs()
    assert (run["status"], run["sacristy"]["kept_checkpoint"]["number"]) == ("INTERRUPTED", 2)


def test_a_rank_that_breaks_ends_the_training_with_its_code_and_its_last_lines(job):
    pods = job.start("with", "stands_at=1", "breaks=1")
    assert [pod.wait(LONG_S) for pod in pods] == [7, 7], job.said(0) + job.said(1)
    said = job.said(0)
    assert "sacristy: worker 1 was the first to end, with code 7" in said
    assert "rank 1 ended with code 7\n" in said
    assert "out of tune" in said.rpartition("worker 1 was the first")[2]
    (run,) = job.runs()
    assert run["status"] == "INTERRUPTED"


def test_a_worker_that_comes_after_all_is_over_ends_well(job, mongod, project, tmp_path):
    job.database.runs.insert_one({"_id": 10**8, "status": "COMPLETED", "sacristy": {"token": job.token}})
    settings = mongod.settings(project, tmp_path / "late")
    late = Post(1, WORKERS, f"127.0.0.1:{job.port}", job.token)
    start, member, _ = join(settings, job.database, FolderStore(tmp_path / "store"), late)
    assert (start.code, member) == (0, None)
