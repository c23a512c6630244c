"""One of several operators acts: a lease in MongoDB, by the database's own clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pymongo.database import Database
from pymongo.errors import PyMongoError

Document = dict[str, Any]
COLLECTION, NAME = "locks", ":operator"  # no model's lock has such a name
LEASE_S = 15.0
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


class Lease:
    """The right to act, for some seconds. `holder` names who has it, for people."""

    def __init__(
        self,
        database: Database[Document],
        holder: str,
        length_s: float = LEASE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.locks = database[COLLECTION]
        self.holder, self.length_s, self._clock = holder, length_s, clock
        self._until = 0.0

    @property
    def held(self) -> bool:
        """Whether it is ours by our own clock, which began to count before the database's did."""
        return self._clock() < self._until

    def hold(self) -> bool:
        """Take the lease if it is free, renew it if it is ours; say whether it is ours now.

        A database that is away changes nothing: ours ends when it would have, and then others may have it.
        """
        asked = self._clock()
        if self._until - asked > self.length_s * 2 / 3:
            return True
        try:
            taken = self._take()
        except PyMongoError:
            return self.held
        self._until = asked + self.length_s if taken else 0.0
        return taken

    def release(self) -> None:
        """Give it back, so that another need not wait for its end."""
        self._until = 0.0
        try:
            self.locks.update_one({"_id": NAME, "holder": self.holder}, {"$set": {"until": BEGINNING}})
        except PyMongoError:
            return  # it ends by itself

    def _take(self) -> bool:
        self.locks.update_one({"_id": NAME}, {"$setOnInsert": {"holder": "", "until": BEGINNING}}, upsert=True)
        free = {"$or": [{"$eq": ["$holder", self.holder]}, {"$lt": ["$until", "$$NOW"]}]}
        until = {"$add": ["$$NOW", int(self.length_s * 1000)]}
        mine = [{"$set": {"holder": {"$literal": self.holder}, "until": until}}]
        return self.locks.update_one({"_id": NAME, "$expr": free}, mine).matched_count == 1
