"""Which blobs runs refer to, those in the database and those in journals that were not sent, and who refers to each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from sacristy.settings import Settings
from sacristy.tracking.database import Documents
from sacristy.tracking.journal import EVENTS
from sacristy.tracking.resync import journals

CHECKPOINT = "kept_checkpoint"  # of a run, below `sacristy`: what a Job's training goes on from in another pod
NOTED = b'{"e":"note","key":"weights",'  # how such a line of a journal begins


def run_weights(database: Documents) -> Iterator[tuple[str, str]]:
    """Yield (`run N`, digest) for every weights file of every run, whatever became of it.

    And for the files of its kept checkpoint, while the run may still be gone on from: not once it is COMPLETED.
    """
    wanted = {"sacristy.weights.digest": 1}
    for run in database.runs.find({"sacristy.weights.0": {"$exists": True}}, wanted):
        yield from ((f"run {run['_id']}", digest) for digest in _digests(run["sacristy"]["weights"]))
    unfinished = {f"sacristy.{CHECKPOINT}": {"$exists": True}, "status": {"$ne": "COMPLETED"}}
    for run in database.runs.find(unfinished, {f"sacristy.{CHECKPOINT}.files.digest": 1}):
        for file in run["sacristy"][CHECKPOINT]["files"]:
            yield f"checkpoint of run {run['_id']}", file["digest"]


def journal_weights(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield (`journal NAME`, digest) for the weights of runs of which the database knows only when they are resent.

    Ask this before the database: a journal that goes in between is in it.
    """
    for folder in journals(settings):
        with suppress(FileNotFoundError), (folder / EVENTS).open("rb") as lines:
            for line in lines:
                if line.startswith(NOTED) and line.endswith(b"\n"):  # else a kill cut it short
                    yield from ((f"journal {folder.name}", digest) for digest in _digests(json.loads(line)["value"]))


def _digests(files: Any) -> Iterator[str]:
    """Yield the digests of files: a script may have noted anything else under that name, which refers to nothing."""
    for file in files if isinstance(files, list) else ():
        if isinstance(file, dict) and isinstance(digest := file.get("digest"), str):
            yield digest


def by_digest(pairs: Iterator[tuple[str, str]]) -> dict[str, list[str]]:
    """Return who refers to each digest."""
    found: dict[str, list[str]] = {}
    for who, digest in pairs:
        found.setdefault(digest, []).append(who)
    return found
