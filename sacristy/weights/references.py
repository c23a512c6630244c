"""Which blobs the runs in the database refer to, and who refers to each."""

from __future__ import annotations

from collections.abc import Iterator

from sacristy.tracking.database import Documents

CHECKPOINT = "kept_checkpoint"  # of a run, below `sacristy`: what a Job's training goes on from in another pod


def run_weights(database: Documents) -> Iterator[tuple[str, str]]:
    """Yield (`run N`, digest) for every weights file of every run, whatever became of it.

    And for the files of its kept checkpoint, while the run may still be gone on from: not once it is COMPLETED.
    """
    wanted = {"sacristy.weights.digest": 1}
    for run in database.runs.find({"sacristy.weights.0": {"$exists": True}}, wanted):
        for file in run["sacristy"]["weights"]:
            yield f"run {run['_id']}", file["digest"]
    unfinished = {f"sacristy.{CHECKPOINT}": {"$exists": True}, "status": {"$ne": "COMPLETED"}}
    for run in database.runs.find(unfinished, {f"sacristy.{CHECKPOINT}.files.digest": 1}):
        for file in run["sacristy"][CHECKPOINT]["files"]:
            yield f"checkpoint of run {run['_id']}", file["digest"]


def by_digest(pairs: Iterator[tuple[str, str]]) -> dict[str, list[str]]:
    """Return who refers to each digest."""
    found: dict[str, list[str]] = {}
    for who, digest in pairs:
        found.setdefault(digest, []).append(who)
    return found
