"""Checkpoints into the store, from which another pod has them: this one's disk goes with it.

The training keeps its checkpoints below the home folder, complete or absent; here the newest is stored by content and
noted in its run as `sacristy.kept_checkpoint`. `sacristy weights gc` takes away what no run names any more, and all
of a run that is COMPLETED.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from pymongo.errors import PyMongoError

from sacristy.errors import NoCheckpoint, SacristyError
from sacristy.tracking.database import Documents
from sacristy.weights.references import CHECKPOINT
from sacristy.weights.store import Store

EVERY_S = 30.0  # no more often than that: a large network's checkpoint is gigabytes
NAME = re.compile(r"(\d{6})-.+")
Report = Callable[[str], None]


class Keeper:
    """Brings checkpoints below a folder to the store. `look` again and again; a failure is said, and tried again."""

    def __init__(
        self, folder: Path, store: Store, db: Documents, report: Report, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder, self._store, self._db = folder, store, db
        self._report, self._clock = report, clock
        self._done: tuple[str, int] | None = None
        self._due = 0.0

    def look(self, *, last: bool = False) -> None:
        """Store the newest checkpoint, unless it is stored or another was a moment ago. `last`: in any case."""
        newest = newest_checkpoint(self._folder)
        if newest is None or newest[:2] == self._done or (self._clock() < self._due and not last):
            return
        key, number, path = newest
        self._due = self._clock() + EVERY_S
        try:
            found = {"number": number, "name": path.name, "files": stored(self._store, path)}
            query = {"sacristy.journal.key": key}
            noted = self._db.runs.update_one(query, {"$set": {f"sacristy.{CHECKPOINT}": found}}).matched_count
        except (SacristyError, PyMongoError, OSError) as error:  # OSError: the training let go of it meanwhile
            self._report(f"checkpoint {number} is not in the store yet: {error}")
            return
        if noted:  # else the run has no number yet
            self._done = (key, number)


def newest_checkpoint(folder: Path) -> tuple[str, int, Path] | None:
    """Return the newest checkpoint below a folder: its run's key, its number, its path; None if there is none."""
    found = [(path.parent.name, int(path.name[:6]), path) for path in folder.glob("*/*") if NAME.fullmatch(path.name)]
    return max(found, key=lambda entry: entry[1], default=None)


def stored(store: Store, path: Path) -> list[dict[str, Any]]:
    """Store a checkpoint, a file or a folder; return its files: path below its folder, digest, size."""
    paths = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    put = [(each, *store.put(each)) for each in paths]
    return [
        {"path": each.relative_to(path.parent).as_posix(), "digest": digest, "size": size} for each, digest, size in put
    ]


def fetch_checkpoint(store: Store, checkpoint: dict[str, Any], folder: Path) -> Path:
    """Bring a checkpoint from the store into a folder, verified, and return its path. Raises NoCheckpoint."""
    for file in checkpoint["files"]:
        inside = PurePosixPath(file["path"])
        if inside.is_absolute() or ".." in inside.parts:
            raise NoCheckpoint(run="noted", reason=f"{file['path']} lies outside of it", host="its own machine")
        target = folder / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        store.get(file["digest"], target, size=file["size"])
    return folder / str(checkpoint["name"])


def kept(ours: dict[str, Any]) -> dict[str, Any]:
    """Return what a run's document notes of its checkpoint in the store; empty if there is none."""
    return dict(ours.get(CHECKPOINT) or {})


def noted_number(ours: dict[str, Any]) -> int:
    """Return the number of the last checkpoint that the training itself made; 0 for none."""
    return int((ours.get("checkpoint") or {}).get("number", 0))
