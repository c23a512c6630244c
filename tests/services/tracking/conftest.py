"""Training scripts as processes of their own, and what must hold of the runs they leave."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
import zlib
from pathlib import Path

import psutil
import pytest

from sacristy.settings import Role
from sacristy.tracking.database import connect
from sacristy.tracking.resync import journals
from sacristy.tracking.runs import find_run, list_runs
from sacristy.tracking.series import read_metrics

HEAD = """
import os, sys, time, sacristy
from sacristy import tracking
ex = sacristy.experiment("digits")
"""
# Logs until FOR seconds have passed, RATE points a second, and keeps the count of what was logged in `truth`.
STEADY = """
@ex.automain
def main(_run):
    truth = os.open(os.environ.get("TRUTH", "truth"), os.O_CREAT | os.O_RDWR)
    end, count, rate = time.monotonic() + float(os.environ["FOR"]), 0, float(os.environ.get("RATE", 500))
    while time.monotonic() < end:
        for _ in range(int(rate // 50)):
            _run.log_scalar("loss", 1 / (count + 1))
            count += 1
            os.pwrite(truth, b"%12d" % count, 0)
        time.sleep(0.02)
    return {"count": count}
"""


class Bench:
    """A project folder, a home folder and a server, with trainers started in it."""

    def __init__(self, server, project: Path, home: Path) -> None:
        self.server, self.project, self.home = server, project, home
        self.settings = server.settings(project, home)
        self.db = server.database(Role.SERVICE)

    def start(self, script: str = STEADY, *words: str, head: str = HEAD, **options) -> subprocess.Popen:
        environment = {name: str(value) for name, value in options.pop("env", {}).items()}
        text = head + textwrap.dedent(script)
        path = self.project / f"train{zlib.crc32(text.encode())}.py"
        if not path.exists():
            path.write_text(text)
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", path.name, *words],
            cwd=self.project,
            env=self.server.environment(self.project, self.home) | environment,
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=options.pop("stderr", subprocess.PIPE),
            **options,
        )

    def train(self, script: str = STEADY, *words: str, code: int = 0, **options) -> str:
        """Train to the end and return what was said on standard error."""
        trainer = self.start(script, *words, **options)
        _, said = trainer.communicate(timeout=280)
        assert trainer.returncode == code, said.decode()
        return said.decode()

    def wait_for_run(self, seconds: float = 20):
        """Wait until a run is in the database and has points, and return it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = list_runs(self.db, limit=1)
            if found and found[0].document["sacristy"]["journal"]["points"]:
                return found[0]
            time.sleep(0.05)
        raise AssertionError("no run arrived")

    def wait_until(self, true, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, "it did not come about in time"
            time.sleep(0.05)

    def newest(self):
        return find_run(self.db, list_runs(self.db, limit=1)[0].id)

    def points(self, run, metric: str = "loss"):
        return read_metrics(self.db, run.id)[metric]

    def truth(self, name: str = "truth") -> int:
        return int((self.project / name).read_text())

    def connect(self):
        return connect(self.settings, Role.TRAINING)

    def journals(self) -> list[Path]:
        return journals(self.settings)

    def kill_with_shipper(self, trainer: subprocess.Popen) -> None:
        """What the kernel's memory killer or a node's power switch does."""
        family = psutil.Process(trainer.pid).children(recursive=True)
        for process in [psutil.Process(trainer.pid), *family]:
            process.kill()
        psutil.wait_procs(family)
        trainer.communicate()


@pytest.fixture
def bench(killable_mongod, project, tmp_path):
    """With a server of its own, which the test may kill."""
    return Bench(killable_mongod, project, tmp_path / "home")


def assert_whole(bench: Bench, run, count: int, status: str = "COMPLETED", metric: str = "loss") -> None:
    """Every point once, in order, the status right, no run left RUNNING, no journal left behind."""
    series = bench.points(run, metric)
    assert list(series.steps) == list(range(count))
    assert all(value == 1 / (step + 1) for step, value, _ in series)
    assert list(series.times) == sorted(series.times)
    assert run.status == status
    assert run.document["sacristy"]["journal"]["arrived"] == count
    assert_nothing_is_left(bench)


def assert_nothing_is_left(bench: Bench) -> None:
    """No run is RUNNING, and no journal waits."""
    assert bench.db.runs.count_documents({"status": "RUNNING"}) == 0
    assert bench.journals() == []
    assert not os.listdir(bench.settings.journals)
