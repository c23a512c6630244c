"""The order in which things were decided: told by the database, never by the clocks of those who write.

Two machines whose clocks differ by an hour must agree on which verdict is the newest, and which move came last.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo import ReturnDocument
from pymongo.database import Database

Document = dict[str, Any]
COLLECTION = "sequences"
RELEASES = "releases"
NEWEST_FIRST = [("seq", -1), ("at", -1), ("_id", -1)]
OLDEST_FIRST = [("seq", 1), ("at", 1), ("_id", 1)]  # records from before there was a sequence have only their time


@dataclass(frozen=True)
class Place:
    """A record's place in the order: its number, and the database's time, which never goes back."""

    seq: int
    at: datetime

    def fields(self) -> Document:
        """Return it as a record holds it."""
        return {"seq": self.seq, "at": self.at}


def next_place(database: Database[Document]) -> Place:
    """Draw the next place in the order of verdicts, approvals and moves."""
    drawn = [
        {
            "$set": {
                "seq": {"$add": [{"$ifNull": ["$seq", 0]}, 1]},
                "at": {"$max": ["$at", "$$NOW"]},
            }
        }
    ]
    found: Document = database[COLLECTION].find_one_and_update(
        {"_id": RELEASES}, drawn, upsert=True, return_document=ReturnDocument.AFTER
    )  # type: ignore[assignment]  # with upsert there is one
    return Place(found["seq"], found["at"].replace(tzinfo=UTC))


def place_of(record: Document) -> tuple[int, datetime]:
    """Return a record's place, to compare it with others'."""
    return record.get("seq", 0), record["at"]
