"""One release action at a time: a lease in MongoDB with owner and age, renewed for as long as its owner lives.

All times are the database's own, so that machines whose clocks differ agree on whose lease ran out.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError

from sacristy.errors import ReleaseLocked
from sacristy.processes import after_boot_s

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
    held = _held(database, name)
    if held is not None and not _is_abandoned(held):
        raise _locked(name, held)
    if not _take(database, name, mine, held):
        raise _locked(name, _held(database, name) or mine | {"age_s": 0})
    token = {"_id": name, "token": mine["token"]}
    try:
        with _renewed(database, token):
            yield
    finally:
        database[COLLECTION].delete_one(token)


@contextmanager
def _renewed(database: Database[Document], token: Document) -> Iterator[None]:
    """Renew a lease from a thread, which dies with its process."""
    over = threading.Event()

    def renew() -> None:
        while not over.wait(RENEW_S):
            with contextlib.suppress(PyMongoError):  # the next time will do; after LEASE_S others may take over
                database[COLLECTION].update_one(token, {"$currentDate": {"renewed": True}})

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
        "after_boot_s": after_boot_s(psutil.Process()),
        "token": os.urandom(12).hex(),
    }


def _held(database: Database[Document], name: str) -> Document | None:
    """Return a lock with its `age_s` and the seconds since it was renewed (`silent_s`), or None."""
    seconds = {
        field: {"$divide": [{"$subtract": ["$$NOW", since]}, 1000]}
        for field, since in (("age_s", "$at"), ("silent_s", "$renewed"))
    }
    return next(database[COLLECTION].aggregate([{"$match": {"_id": name}}, {"$set": seconds}]), None)


def _take(database: Database[Document], name: str, mine: Document, held: Document | None) -> bool:
    """Take a lock that nobody has, or one as it was seen; False if somebody else was faster."""
    seen = {"_id": name, "token": held["token"], "renewed": held["renewed"]} if held else {"_id": name, "token": ""}
    fields = {"$set": mine, "$currentDate": {"at": True, "renewed": True}}
    try:
        done = database[COLLECTION].update_one(seen, fields, upsert=held is None)
    except DuplicateKeyError:
        return False
    return bool(done.modified_count or done.upserted_id)


def _is_abandoned(held: Document) -> bool:
    if held["silent_s"] > LEASE_S:
        return True
    if held["host"] != socket.gethostname():
        return False
    try:
        return bool(abs(after_boot_s(psutil.Process(held["pid"])) - held.get("after_boot_s", math.nan)) > 1)
    except psutil.NoSuchProcess:
        return True


def _locked(name: str, held: Document) -> ReleaseLocked:
    owner = f"{held['owner']} (process {held['pid']} on {held['host']})"
    return ReleaseLocked(action=held["action"], model=name, owner=owner, age_s=int(held["age_s"]), lease_s=LEASE_S)
