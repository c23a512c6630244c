"""train --on kubernetes: a training as a Job, followed from here."""

from __future__ import annotations

import secrets
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from sacristy.cli.printing import say, steps
from sacristy.cli.trained import parent_of, run_left
from sacristy.cli.workbench import Workbench
from sacristy.errors import JobEnded, NoCheckpoint, PodNotStarted, RunLostWithPod
from sacristy.images.training import push_training_image
from sacristy.project import Model
from sacristy.targets.kubernetes import jobs
from sacristy.targets.kubernetes.cluster import Cluster
from sacristy.targets.kubernetes.connections import connections
from sacristy.targets.kubernetes.jobs import Follower
from sacristy.targets.kubernetes.target import pulled_from
from sacristy.targets.kubernetes.training import Training
from sacristy.tracking.runs import RunRecord
from sacristy.training import UNSENT_EXIT_CODE
from sacristy.training.keeping import kept


def train_on_cluster(
    bench: Workbench, model: Model, words: Sequence[str], resume: int | None, *, quiet: bool
) -> RunRecord:
    """Train as a Job, show what it prints, and return its run.

    Ended by Ctrl-C or SIGTERM, it ends the Job, whose run becomes INTERRUPTED. Raises TrainingFailed with the
    training's exit code, RunLostWithPod, JobEnded, PodNotStarted, or what images, cluster and settings raise.
    """
    training = prepared(bench, model, words, resume, quiet=quiet)
    cluster = Cluster(bench.settings.cluster)
    show = sys.stderr if quiet else sys.stdout
    follower = Follower(cluster, training, lambda line: print(line, file=show, flush=True), say)
    try:
        with _told_to_end():
            jobs.start(cluster, training, bench.settings.registry_login)
            say(f"Job {training.name} in {training.namespace}; Ctrl-C ends it")
            code = follower.follow()
    except KeyboardInterrupt:
        say(f"ending Job {training.name}; its training stores everything first")
        jobs.end(cluster, training)
        follower.until_gone()
        raise
    except (JobEnded, PodNotStarted):
        jobs.end(cluster, training)
        raise
    jobs.end(cluster, training)
    return _outcome(bench, training, code)


def prepared(bench: Workbench, model: Model, words: Sequence[str], resume: int | None, *, quiet: bool) -> Training:
    """Return what the Job follows from, with its image in the registry. Nothing is on the cluster yet."""
    settings = bench.settings
    if resume:
        require_kept(parent_of(bench, model.name, resume))
    host, given = pulled_from(settings), connections(settings)
    with steps(f"image of {model.name} at the last commit", quiet):
        image = push_training_image(settings, model, bench.registry)
    token = secrets.token_hex(16)
    return Training(
        name=f"train-{model.name}-{token[:8]}",
        model=model.name,
        file=model.file,
        cluster=settings.cluster,
        registry=host,
        repository=image.repository,
        digest=image.digest,
        token=token,
        words=tuple(words),
        resumes=resume,
        pull_secret=bool(settings.registry_user),
        environment=given.environment,
        secret=given.secret,
    )


def require_kept(run: RunRecord) -> None:
    """Raise NoCheckpoint unless the store has a checkpoint of a run."""
    if not kept(run.document.get("sacristy") or {}):
        raise NoCheckpoint(
            run=run.id, reason="only a Job's go into the store, where pods find them", host="its machine"
        )


def _outcome(bench: Workbench, training: Training, code: int) -> RunRecord:
    """Return the run that a Job left, or raise what its exit code means."""
    if code == UNSENT_EXIT_CODE:
        raise RunLostWithPod(model=training.model)
    return run_left(bench, training.model, training.token, code)


@contextmanager
def _told_to_end() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
