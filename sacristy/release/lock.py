"""One release action for a model at a time: a lease in MongoDB with owner and age."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psutil
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from sacristy.errors import ReleaseLocked
from sacristy.release.verdict import now

Document = dict[str, Any]
COLLECTION = "locks"
LEASE_S = 60


@contextmanager
def release_lock(database: Database[Document], model: str, action: str, owner: str) -> Iterator[None]:
    """Hold the model's lock for as long as the block lasts, or raise ReleaseLocked at once.

    A lock is taken over when its lease ran out, or when its owner was a process of this host that is gone.
    """
    mine = _lease(action, owner)
    locks = database[COLLECTION]
    held = locks.find_one({"_id": model})
    try:
        if held is None:
            locks.insert_one({"_id": model} | mine)
        elif not _is_abandoned(held) or not _take_over(database, held, mine):
            raise _locked(model, held)
    except DuplicateKeyError:
        raise _locked(model, locks.find_one({"_id": model}) or mine) from None
    try:
        yield
    finally:
        locks.delete_one({"_id": model, "token": mine["token"]})


def _lease(action: str, owner: str) -> Document:
    return {
        "action": action,
        "owner": owner,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
        "at": now(),
        "token": os.urandom(12).hex(),
    }


def _take_over(database: Database[Document], held: Document, mine: Document) -> bool:
    seen = {"_id": held["_id"], "token": held["token"]}
    return database[COLLECTION].replace_one(seen, {"_id": held["_id"]} | mine).modified_count == 1


def _is_abandoned(held: Document) -> bool:
    if now() - held["at"] > timedelta(seconds=LEASE_S):
        return True
    if held["host"] != socket.gethostname():
        return False
    try:
        return bool(abs(psutil.Process(held["pid"]).create_time() - held["started"]) > 1)
    except psutil.NoSuchProcess:
        return True


def _locked(model: str, held: Document) -> ReleaseLocked:
    age = int((now() - held["at"]).total_seconds())
    owner = f"{held['owner']} (process {held['pid']} on {held['host']})"
    return ReleaseLocked(action=held["action"], model=model, owner=owner, age_s=age, lease_s=LEASE_S)
