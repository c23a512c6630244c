"""The run that an earlier pod of the same Job left: waited for until it has ended, and gone on from."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sacristy.errors import NoCheckpoint, UnknownRun
from sacristy.tracking.reproduce import continuing_words
from sacristy.tracking.resync import BEATS_MISSED_S
from sacristy.tracking.runs import RunRecord
from sacristy.tracking.variables import CHECKPOINT, PARENT
from sacristy.training.keeping import fetch_checkpoint, kept, noted_number
from sacristy.weights.store import Store

CATCHING_UP_S = 60.0  # for the last checkpoint of a pod that is being ended
POLL_S = 1.0
OVER = ("COMPLETED", "FAILED")  # of several workers, one that is lost may let the run of worker 0 fail


@dataclass(frozen=True)
class Start:
    """What to train with; or, if `code` is there, that the Job is over with that exit code. `said`: a line about it."""

    words: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)
    said: str = ""
    code: int | None = None
    parent: int | None = None
    checkpoint: dict[str, Any] = field(default_factory=dict)

    @property
    def news(self) -> dict[str, Any]:
        """What other workers have to know in order to begin the same."""
        return {"words": list(self.words), "parent": self.parent, "checkpoint": self.checkpoint}


def settled(
    find: Callable[[], RunRecord | None],
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> RunRecord | None:
    """Return the former run once nothing more comes of it: an ended pod goes on sending while the next one starts.

    A run that is still RUNNING counts as dead when nothing of it changed for some of its beats.
    """
    seen: Any = None
    since = clock()
    while (run := find()) is not None:
        ours = run.document.get("sacristy") or {}
        state = (run.status, ours.get("seen"), kept(ours).get("number"))
        if state != seen:
            seen, since = state, clock()
        if clock() - since >= _patience_s(run.status, ours):
            return run
        pause(POLL_S)
    return None


def plan(
    run: RunRecord | None,
    words: Sequence[str],
    *,
    same_job: bool,
    store: Store,
    folder: Path,
    over: Sequence[str] = OVER,
    find: Callable[[int], RunRecord] | None = None,
) -> Start:
    """Return how a training begins after a former run, whose checkpoint is fetched into a folder.

    `over`: the statuses of a run of the same Job after which nothing is trained. `find`: gives a run by its number,
    where that from which a former run went on is to be asked too.

    Raises NoCheckpoint where another Job's run is to go on that left none in the store, or what the store raises.
    """
    if run is None:
        return Start(words)
    if same_job and run.status in over:
        said = f"run {run.id} of this Job is {run.status}: there is nothing to go on with"
        return Start(code=0 if run.status == "COMPLETED" else 1, said=said)
    if find:
        run = _with_checkpoint(run, find)
    checkpoint = kept(run.document.get("sacristy") or {})
    if not checkpoint and not same_job:
        raise NoCheckpoint(run=run.id, reason="the store has none of it", host="the machine that trained it")
    words = continuing_words(words, run.config)
    if not checkpoint:
        return Start(words, said=f"run {run.id} of this Job left no checkpoint: trained anew")
    return going_on({"words": words, "parent": run.id, "checkpoint": checkpoint}, store, folder)


def going_on(news: Mapping[str, Any], store: Store, folder: Path) -> Start:
    """Return how a training begins by what `Start.news` says, with the checkpoint fetched into a folder."""
    words, parent, checkpoint = news["words"], news["parent"], news["checkpoint"]
    if not checkpoint:
        return Start(words)
    path = fetch_checkpoint(store, checkpoint, folder)
    said = f"going on from checkpoint {checkpoint['number']} of run {parent}"
    given = {PARENT: str(parent), CHECKPOINT: str(path)}
    return Start(words, given, said, parent=parent, checkpoint=checkpoint)


def _with_checkpoint(run: RunRecord, find: Callable[[int], RunRecord]) -> RunRecord:
    """Return the nearest run with a checkpoint: this one, or one it went on from, if it ended before its own first."""
    each = run
    with suppress(UnknownRun):
        while not kept(ours := each.document.get("sacristy") or {}) and ours.get("parent"):
            each = find(int(ours["parent"]))
    return each if kept(each.document.get("sacristy") or {}) else run


def _patience_s(status: str, ours: dict[str, Any]) -> float:
    if status in ("RUNNING", "QUEUED"):
        return BEATS_MISSED_S
    if status == "COMPLETED":
        return 0.0
    return 0.0 if int(kept(ours).get("number", 0)) >= noted_number(ours) else CATCHING_UP_S
