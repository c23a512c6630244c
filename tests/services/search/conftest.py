"""Searches over the digits with the real Ray, each in a home folder of its own, on the session's MongoDB."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from sacristy.search.driving import PREFIX
from sacristy.settings import Role

ROOT = Path(__file__).parents[3]
SACRISTY = Path(sys.executable).with_name("sacristy")


class Bench:
    """The command line on a database of its own, and what is there afterwards."""

    def __init__(self, mongod: Any, folder: Path) -> None:
        self.database = mongod.database()
        environments = os.environ.get("SACRISTY_ENVIRONMENTS", str(ROOT / ".sacristy" / "environments"))
        given = mongod.environment(ROOT, folder / "home", Role.ADMIN)
        self.environment = given | {"SACRISTY_ENVIRONMENTS": environments}
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command; what it prints goes to a file."""
        with (self.folder / "printed").open("ab") as printed:
            argv = [str(SACRISTY), *words]
            self.processes.append(
                subprocess.Popen(argv, cwd=ROOT, env=self.environment, stdout=printed, stderr=printed)
            )
        return self.processes[-1]

    def json(self, *words: str) -> Any:
        """Run a command with --json, which must end with 0, and return what it printed."""
        argv = [str(SACRISTY), *words]
        done = subprocess.run(argv, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def trials(self, search: int, **query: Any) -> list[dict[str, Any]]:
        """Return the runs of a search's trials."""
        return list(self.database.runs.find({"sacristy.trial.search": search, **query}).sort("_id", 1))

    def until(self, holds: Callable[[], Any], seconds: float = 240) -> Any:
        """Wait until something holds, and return it."""
        deadline = time.monotonic() + seconds
        while not (found := holds()):
            assert time.monotonic() < deadline, (self.folder / "printed").read_text()
            time.sleep(0.1)
        return found

    def searching(self, before: int) -> int:
        """Wait for a search that began after a run, and return its own run."""
        query = {"command": "search", "_id": {"$gt": before}}
        return int(self.until(lambda: self.database.runs.find_one(query))["_id"])

    def newest(self) -> int:
        """Return the number of the newest run there is."""
        return int((self.database.runs.find_one(sort=[("_id", -1)]) or {"_id": 0})["_id"])


@pytest.fixture
def leftovers() -> Callable[[], list[str]]:
    """Return a function that says what searches left on this machine: processes of Ray's, and folders."""

    def found() -> list[str]:
        lines = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
        folders = [str(path) for path in Path("/tmp").glob(f"{PREFIX}*")]
        return [line for line in lines if f"/tmp/{PREFIX}" in line] + folders

    return found


@pytest.fixture
def bench(mongod: Any, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(mongod, tmp_path)
    yield made
    for process in made.processes:
        if process.poll() is None:
            process.terminate()
            process.wait(120)
