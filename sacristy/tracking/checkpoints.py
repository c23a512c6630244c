"""Checkpoints: what a run leaves so that another can go on from there.

They are kept below the home folder, on this machine or wherever that folder is mounted; the run notes where.
A checkpoint is complete or absent: it is copied aside, brought to the disk, then renamed.
"""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import Any

from sacristy.errors import JournalNotWritable, NoCheckpoint
from sacristy.tracking.notes import note
from sacristy.tracking.variables import CHECKPOINT, PARENT

KEPT = 2


def checkpoint(run: Any, path: Path | str) -> Path | None:
    """Keep a copy of a file or folder as the run's latest checkpoint, and return where (None if unobserved).

    The last two are kept. Raises JournalNotWritable.
    """
    observer = getattr(run, "observer", None)
    if observer is None:
        return None
    source, folder = Path(path), Path(observer.checkpoints)
    number = 1 + max((int(old.name.split("-")[0]) for old in _kept(folder)), default=0)
    target, aside = folder / f"{number:06d}-{source.name}", folder / f".new-{number}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _copy(source, aside)
        aside.rename(target)
    except OSError as error:
        _remove(aside)
        raise JournalNotWritable(path=folder, reason=error.strerror) from None
    note(run, "checkpoint", {"path": str(target), "number": number, "host": platform.node()})
    for old in _kept(folder)[:-KEPT]:
        _remove(old)
    return target


def parent_checkpoint() -> Path | None:
    """Return the checkpoint to go on from, or None when this run does not continue another. For train.py."""
    path = os.environ.get(CHECKPOINT, "")
    return Path(path) if path else None


def resume_environment(run_id: int, document: dict[str, Any]) -> dict[str, str]:
    """Return the environment variables under which a new run continues this one. Raises NoCheckpoint.

    It goes on from the last checkpoint beside the one that is noted: a journal not yet sent may know of later ones.
    """
    noted = (document.get("sacristy") or {}).get("checkpoint")
    if not noted:
        raise NoCheckpoint(run=run_id, reason="it made none", host="the machine that has it")
    path = Path(noted["path"])
    path = next(reversed(_kept(path.parent)), path)
    if not path.exists():
        raise NoCheckpoint(run=run_id, reason=f"{path} is not here", host=noted.get("host", "its machine"))
    return {PARENT: str(run_id), CHECKPOINT: str(path)}


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
    for path in [target] if target.is_file() else target.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _kept(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*-*"))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
