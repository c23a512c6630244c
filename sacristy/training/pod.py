"""What the container of a training Job runs: `python -m sacristy.training.pod MODEL [Sacred's words]`.

One training, as a child whose exit code is ours. It ends only when everything is in MongoDB, or says that it is not:
the journal goes with the pod. Of several workers (crew.py) each runs this, and worker 0 has the run.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from pymongo.errors import PyMongoError

from sacristy import settings as settings_module
from sacristy.errors import DatabaseUnreachable, NoChief, SacristyError
from sacristy.project import load_model
from sacristy.ranks import LOOPBACK, Node, free_port, training_command
from sacristy.settings import Role, Settings
from sacristy.tracking.database import Documents, connect, reason
from sacristy.tracking.resync import journals, resync
from sacristy.tracking.runs import RunRecord, find_by_token, find_run
from sacristy.tracking.shipper import training_database
from sacristy.tracking.variables import CHIEF, POD_ADDRESS, RESUMES, TOKEN, WORKER, WORKERS
from sacristy.training import UNSENT_EXIT_CODE
from sacristy.training.crew import GATHERING_S, Chief, Member
from sacristy.training.former import OVER, Start, going_on, plan, settled
from sacristy.training.keeping import Keeper
from sacristy.training.launch import report
from sacristy.training.process import Training
from sacristy.weights.store import Store, open_store

DATABASE_S = 300.0  # for MongoDB to answer before anything is trained
SHIPPING_S = 150.0  # for what is not sent when the training has ended
POLL_S = 0.2
CALLING_S = 2.0


@dataclass(frozen=True)
class Post:
    """Which of how many workers this one is, and where the chief is called: host:port."""

    number: int
    count: int
    chief: str
    key: str

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Post:
        """Read it from a pod's variables."""
        count = int(given.get(WORKERS, 1))
        return cls(int(given.get(WORKER, 0)) if count > 1 else 0, count, given.get(CHIEF, ""), given.get(TOKEN, ""))


def main(argv: Sequence[str]) -> int:
    """Train a model in this pod, and return the exit code."""
    model, words = argv[0], list(argv[1:])
    training, settings, post = Training(), settings_module.load(), Post.of(os.environ)
    try:
        processes = load_model(settings.project, model).file.processes if post.count > 1 else 1
        db, store = database(settings), open_store(settings.weights_location, settings)
        begun = join(settings, db, store, post) if post.number else lead(settings, db, store, post, words)
    except SacristyError as error:
        report(f"{error}\n  {error.advice}")
        return error.exit_code
    except PyMongoError as error:
        report(f"MongoDB does not answer: {reason(error)}; nothing was trained")
        return DatabaseUnreachable.exit_code
    start, crew, node = begun
    if start.said:
        report(start.said)
    if start.code is not None:
        return start.code
    script = settings.project / "models" / model / "train.py"
    argv = training_command(sys.executable, script, start.words, processes, node, name_of(post))
    keeper = None if post.number else Keeper(settings.home / "checkpoints", store, db, report)
    code = training.run(argv, settings.project, start.environment, keeper, crew)
    return stored(settings, keeper, code) if keeper else code


def stored(settings: Settings, keeper: Keeper, code: int) -> int:
    """Bring what the training left to where it stays; return the pod's exit code."""
    if code:
        keeper.look(last=True)  # first: the next pod may wait for it already
    sent = ship(settings)
    if not sent:
        report(f"the run is not in MongoDB after {SHIPPING_S:.0f} s, and its journal goes with this pod")
    return code or (0 if sent else UNSENT_EXIT_CODE)


def lead(
    settings: Settings, db: Documents, store: Store, post: Post, words: Sequence[str]
) -> tuple[Start, Chief | None, Node | None]:
    """Return how worker 0 trains; where there are others, all of them are there and begin the same."""
    start = begin(settings, db, store, words, over=OVER if post.count == 1 else OVER[:1])
    if post.count == 1 or start.code is not None:
        return start, None, None
    port = int(post.chief.rpartition(":")[2])
    chief = Chief(post.count, port, post.key, lambda line: print(line, flush=True), report)
    node = Node(0, post.count, os.environ.get(POD_ADDRESS) or LOOPBACK, free_port())
    chief.begin({**start.news, "address": node.address, "port": node.port})
    return start, chief, node


def join(
    settings: Settings, db: Documents, store: Store, post: Post, patience_s: float = GATHERING_S
) -> tuple[Start, Member | None, Node | None]:
    """Return how another worker trains, as the chief says; or that the training is over. Raises NoChief."""
    deadline = time.monotonic() + patience_s
    while True:
        member = Member.joined(post.number, post.chief, post.key)
        if member:
            node = Node(post.number, post.count, str(member.news["address"]), int(member.news["port"]))
            return going_on(member.news, store, settings.home / "resumed"), member, node
        run = find_by_token(db, post.key)
        if run is not None and run.status == "COMPLETED":
            return Start(code=0, said=f"run {run.id} of this Job is COMPLETED"), None, None
        if time.monotonic() > deadline:
            raise NoChief(address=post.chief, waited_s=f"{patience_s:.0f}")
        time.sleep(CALLING_S)


def name_of(post: Post) -> str:
    """Return a name of the training that all of its workers know, and from which its token does not follow."""
    return hashlib.sha256(post.key.encode()).hexdigest()[:16]


def begin(settings: Settings, db: Documents, store: Store, words: Sequence[str], over: Sequence[str] = OVER) -> Start:
    """Return how to train: after what an earlier pod of this Job left, else after the run that is to go on, if any."""
    token, resumes = os.environ.get(TOKEN, ""), os.environ.get(RESUMES, "")

    def find() -> RunRecord | None:
        return find_by_token(db, token) if token else None

    own = settled(find)
    former = own if own is not None or not resumes else find_run(db, int(resumes))
    folder = settings.home / "resumed"
    find_any = partial(find_run, db)
    return plan(former, words, same_job=own is not None, store=store, folder=folder, over=over, find=find_any)


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
