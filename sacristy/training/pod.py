"""What the container of a training Job runs: `python -m sacristy.training.pod MODEL [Sacred's words]`.

One training, as a child whose exit code is ours. It ends only when everything is in MongoDB, or says that it is not:
the journal goes with the pod.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from pymongo.errors import PyMongoError

from sacristy import settings as settings_module
from sacristy.errors import DatabaseUnreachable, SacristyError
from sacristy.settings import Role, Settings
from sacristy.tracking.database import Documents, connect, reason
from sacristy.tracking.resync import journals, resync
from sacristy.tracking.runs import RunRecord, find_by_token, find_run
from sacristy.tracking.shipper import training_database
from sacristy.tracking.variables import RESUMES, TOKEN
from sacristy.training import UNSENT_EXIT_CODE
from sacristy.training.former import Start, plan, settled
from sacristy.training.keeping import Keeper
from sacristy.weights.store import Store, open_store

DATABASE_S = 300.0  # for MongoDB to answer before anything is trained
SHIPPING_S = 150.0  # for what is not sent when the training has ended
POLL_S = 0.2
OOM_FILES = (Path("/sys/fs/cgroup/memory.events"), Path("/sys/fs/cgroup/memory/memory.oom_control"))  # cgroup v2, v1


class Training:
    """A training as a child process. SIGTERM is passed on once: then it stores everything and ends."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._told = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)

    def run(self, settings: Settings, model: str, start: Start, keeper: Keeper) -> int:
        """Train to the end, with checkpoints brought to the store; return the exit code as a shell would."""
        script = settings.project / "models" / model / "train.py"
        argv = [sys.executable, str(script), *start.words]
        self._process = subprocess.Popen(argv, env=os.environ | start.environment, cwd=settings.project)
        if self._told:
            self._process.terminate()
        while self._process.poll() is None:
            keeper.look()
            time.sleep(POLL_S)
        code = self._process.returncode
        if code == -signal.SIGKILL and out_of_memory():
            report("the training was killed: it took more memory than resources.memory_mib of its model.toml")
            return 1  # 137 would have the Job try it again
        return code if code >= 0 else 128 - code

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        if self._process is None and not self._told:
            self._told = True
            raise SystemExit(128 + signal.SIGTERM)
        if self._process is not None and not self._told:
            self._told = True
            self._process.terminate()


def main(argv: Sequence[str]) -> int:
    """Train a model in this pod, and return the exit code."""
    model, words = argv[0], list(argv[1:])
    training, settings = Training(), settings_module.load()
    try:
        db, store = database(settings), open_store(settings.weights_location, settings)
        start = begin(settings, db, store, words)
    except SacristyError as error:
        report(f"{error}\n  {error.advice}")
        return error.exit_code
    except PyMongoError as error:
        report(f"MongoDB does not answer: {reason(error)}; nothing was trained")
        return DatabaseUnreachable.exit_code
    if start.said:
        report(start.said)
    if start.code is not None:
        return start.code
    keeper = Keeper(settings.home / "checkpoints", store, db, report)
    code = training.run(settings, model, start, keeper)
    if code:
        keeper.look(last=True)  # first: the next pod may wait for it already
    sent = ship(settings)
    if not sent:
        report(f"the run is not in MongoDB after {SHIPPING_S:.0f} s, and its journal goes with this pod")
    return code or (0 if sent else UNSENT_EXIT_CODE)


def begin(settings: Settings, db: Documents, store: Store, words: Sequence[str]) -> Start:
    """Return how to train: after what an earlier pod of this Job left, else after the run that is to go on, if any."""
    token, resumes = os.environ.get(TOKEN, ""), os.environ.get(RESUMES, "")

    def find() -> RunRecord | None:
        return find_by_token(db, token) if token else None

    own = settled(find)
    former = own if own is not None or not resumes else find_run(db, int(resumes))
    return plan(former, words, same_job=own is not None, store=store, folder=settings.home / "resumed")


def database(settings: Settings, patience_s: float = DATABASE_S) -> Documents:
    """Connect as the training role; wait for a MongoDB that does not answer. Raises DatabaseUnreachable."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return connect(settings, Role.TRAINING)
        except DatabaseUnreachable as error:
            if time.monotonic() > deadline:
                raise
            report(f"{error}; waiting")
            time.sleep(2)


def ship(settings: Settings, patience_s: float = SHIPPING_S) -> bool:
    """Send what the training's own shipper has not, and say whether all is in MongoDB."""
    deadline = time.monotonic() + patience_s
    while journals(settings):
        for _ in resync(settings, training_database):
            pass
        if time.monotonic() > deadline:
            return not journals(settings)
        time.sleep(POLL_S)
    return True


def out_of_memory() -> bool:
    """Say whether the kernel has killed a process of this container for its memory."""
    for path in OOM_FILES:
        try:
            words = path.read_text().split()
        except OSError:
            continue
        return "oom_kill" in words and int(words[words.index("oom_kill") + 1]) > 0
    return False


def report(line: str) -> None:
    """Say something to whoever follows the Job."""
    print(f"sacristy: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
