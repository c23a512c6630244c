"""Journals that stayed behind: sent again, and runs whose process died marked as such."""

from __future__ import annotations

import datetime
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sacristy.settings import Settings
from sacristy.tracking.database import Documents
from sacristy.tracking.journal import END, EVENTS, is_training
from sacristy.tracking.shipper import SENT, Unsent, ship_folder

YOUNG_S = 60.0  # a journal that has no events yet may be one that is being made
BEATS_MISSED_S = 35.0  # three of Sacred's beats and some


@dataclass(frozen=True)
class Resent:
    """What became of one journal. `outcome`: sent, running, busy (another process is at it), empty, or unsent."""

    folder: Path
    outcome: str
    run: int | None = None
    points: int = 0
    complete: bool = False
    reason: str = ""


def journals(settings: Settings) -> list[Path]:
    """Return the journals that are on this machine, the oldest first."""
    found = []
    for path in settings.journals.glob(f"*/{EVENTS}"):
        with suppress(FileNotFoundError):  # its shipper may remove it at any moment
            if path.parent.suffix != SENT:
                found.append((path.stat().st_ctime, path.parent))
    return [folder for _, folder in sorted(found)]


def resync(settings: Settings, connect_to: Callable[[], Documents]) -> Iterator[Resent]:
    """Send every journal whose training has ended, and remove it once all of it is in the database.

    Idempotent: it may be repeated, interrupted at any point, or run twice at the same time. A journal that cannot
    be sent, for whatever reason, does not keep back the next.
    """
    for folder in leftovers(settings):
        shutil.rmtree(folder, ignore_errors=True)
    for folder in journals(settings):
        yield resend(folder, connect_to)


def leftovers(settings: Settings) -> list[Path]:
    """Return what remains of journals that were sent and whose removal was interrupted."""
    return [folder for folder in settings.journals.glob("*/") if folder.suffix == SENT or _is_leftover(folder)]


def _is_leftover(folder: Path) -> bool:
    """Say whether a folder has lost its events; a journal that is being made has none yet, but a lock, or is young."""
    try:
        if (folder / EVENTS).exists() or is_training(folder):
            return False
        return (folder / END).exists() or time.time() - folder.stat().st_mtime > YOUNG_S
    except OSError:  # another process removed it
        return False


def resend(folder: Path, connect_to: Callable[[], Documents]) -> Resent:
    """Send one journal."""
    try:
        if is_training(folder):
            return Resent(folder, "running")
        shipper = ship_folder(folder, connect_to)
    except Unsent as error:
        return Resent(folder, "unsent", reason=str(error))
    except FileNotFoundError:  # another process finished it and removed the folder
        return Resent(folder, "busy")
    except Exception as error:
        return Resent(folder, "unsent", reason=f"{type(error).__name__}: {error}")
    if shipper is None:
        return Resent(folder, "busy")
    outcome = "sent" if shipper.state.started else "empty"
    return Resent(folder, outcome, shipper.run, shipper.state.points, shipper.complete)


def reap(db: Documents, silence_s: float = BEATS_MISSED_S) -> list[int]:
    """Mark runs as DEAD that were not heard of for this long, by the database's own clock; return their numbers.

    A run that was only cut off from the database gets its true status back with the next of its journal that arrives.
    """
    limit = {"$subtract": ["$$NOW", int(silence_s * 1000)]}
    # Sacred's own observer writes no heartbeat before the first beat.
    heard = {"$ifNull": ["$sacristy.seen", {"$ifNull": ["$heartbeat", "$start_time"]}]}
    silent = {"status": "RUNNING", "$expr": {"$lt": [heard, limit]}}
    dead = []
    for run in db.runs.find(silent, {"heartbeat": 1}):
        died = run.get("heartbeat") or datetime.datetime.now(datetime.UTC)
        change = {"$set": {"status": "DEAD", "stop_time": died, "sacristy.reaped": True}}
        if db.runs.update_one({"_id": run["_id"]} | silent, change).modified_count:
            dead.append(run["_id"])
    return dead
