"""One release action at a time: a lease in MongoDB with owner and age, renewed for as long as its owner lives."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psutil
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError

from sacristy.errors import ReleaseLocked
from sacristy.release.verdict import now

Document = dict[str, Any]
COLLECTION = "locks"
LEASE_S = 60
RENEW_S = 15.0


@contextmanager
def release_lock(database: Database[Document], name: str, action: str, owner: str) -> Iterator[None]:
    """Hold a lock (named by a model, or model:stage) for as long as the block lasts, or raise ReleaseLocked at once.

    A lock is taken over when its lease ran out, or when its owner was a process of this host that is gone.
    """
    mine = _lease(action, owner)
    locks = database[COLLECTION]
    held = locks.find_one({"_id": name})
    try:
        if held is None:
            locks.insert_one({"_id": name} | mine)
        elif not _is_abandoned(held) or not _take_over(database, held, mine):
            raise _locked(name, held)
    except DuplicateKeyError:
        raise _locked(name, locks.find_one({"_id": name}) or mine) from None
    token = {"_id": name, "token": mine["token"]}
    try:
        with _renewed(database, token):
            yield
    finally:
        locks.delete_one(token)


@contextmanager
def _renewed(database: Database[Document], token: Document) -> Iterator[None]:
    """Renew a lease from a thread, which dies with its process."""
    over = threading.Event()

    def renew() -> None:
        while not over.wait(RENEW_S):
            with contextlib.suppress(PyMongoError):  # the next time will do; after LEASE_S others may take over
                database[COLLECTION].update_one(token, {"$set": {"renewed": now()}})

    thread = threading.Thread(target=renew, name="release lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _lease(action: str, owner: str) -> Document:
    return {
        "action": action,
        "owner": owner,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
        "at": now(),
        "renewed": now(),
        "token": os.urandom(12).hex(),
    }


def _take_over(database: Database[Document], held: Document, mine: Document) -> bool:
    seen = {"_id": held["_id"], "token": held["token"]}
    return database[COLLECTION].replace_one(seen, {"_id": held["_id"]} | mine).modified_count == 1


def _is_abandoned(held: Document) -> bool:
    if now() - held["renewed"] > timedelta(seconds=LEASE_S):
        return True
    if held["host"] != socket.gethostname():
        return False
    try:
        return bool(abs(psutil.Process(held["pid"]).create_time() - held["started"]) > 1)
    except psutil.NoSuchProcess:
        return True


def _locked(name: str, held: Document) -> ReleaseLocked:
    age = int((now() - held["at"]).total_seconds())
    owner = f"{held['owner']} (process {held['pid']} on {held['host']})"
    return ReleaseLocked(action=held["action"], model=name, owner=owner, age_s=age, lease_s=LEASE_S)
