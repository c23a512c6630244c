"""When each stage that may sleep was last asked, and whether it sleeps: a document for each, by the database's clock.

{"_id": "news:production", "asked": ..., "since": ..., "state": "awake"}: `asked` is the gateways' word, all else the
operator's. So no gateway needs a right on the cluster, and no operator a way to the gateways.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pymongo import UpdateOne
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from sacristy.names import Stage
from sacristy.operator.decide import Key

Document = dict[str, Any]
COLLECTION = "calls"


class State(StrEnum):
    """What the operator made of a stage. `falling`: it is being put to sleep, or whoever did so was killed."""

    AWAKE = "awake"
    FALLING = "falling"
    ASLEEP = "asleep"


@dataclass(frozen=True)
class Call:
    """What is known of a stage. `quiet_s`: since it was asked or changed its state; `wanted`: asked after that change.

    `state` is empty where no operator knows the stage yet.
    """

    state: str = ""
    quiet_s: float = 0.0
    wanted: bool = True


def ask(database: Database[Document], keys: Iterable[Key]) -> None:
    """Note that stages are being asked for something now."""
    changes = [UpdateOne({"_id": _id(key)}, {"$currentDate": {"asked": True}}, upsert=True) for key in keys]
    if changes:
        database[COLLECTION].bulk_write(changes, ordered=False)


def read(database: Database[Document]) -> dict[Key, Call]:
    """Return what is known of all stages that may sleep."""
    newest = {"$max": ["$asked", "$since"]}
    computed = {"quiet_ms": {"$subtract": ["$$NOW", newest]}, "wanted": {"$gte": ["$asked", "$since"]}, "state": 1}
    found: dict[Key, Call] = {}
    for each in database[COLLECTION].aggregate([{"$project": computed}]):
        model, _, stage = each["_id"].partition(":")
        found[model, Stage(stage)] = Call(each.get("state", ""), (each["quiet_ms"] or 0) / 1000, each["wanted"])
    return found


def asleep(database: Database[Document]) -> set[Key]:
    """Return the stages that sleep."""
    return {key for key, call in read(database).items() if call.state == State.ASLEEP}


def fall(database: Database[Document], key: Key, idle_s: float) -> bool:
    """Begin to put a stage to sleep, if it is known and nobody asked within `idle_s`; say whether that is so."""
    before = {"$subtract": ["$$NOW", round(idle_s * 1000)]}
    quiet = {"$lt": [{"$max": ["$asked", "$since"]}, before]}
    known = {"_id": _id(key), "state": {"$in": [State.AWAKE, State.FALLING]}, "$expr": quiet}
    change = [{"$set": {"state": str(State.FALLING), "since": "$$NOW"}}]
    return database[COLLECTION].update_one(known, change).matched_count == 1


def fell(database: Database[Document], key: Key) -> None:
    """Note that a stage sleeps. Who asked while it was being put to sleep still counts as asking it after that."""
    falling = {"_id": _id(key), "state": State.FALLING}
    database[COLLECTION].update_one(falling, {"$set": {"state": str(State.ASLEEP)}})


def awake(database: Database[Document], key: Key) -> None:
    """Note that a stage is awake from now on."""
    change: Mapping[str, Any] = {"$set": {"state": str(State.AWAKE)}, "$currentDate": {"since": True}}
    database[COLLECTION].update_one({"_id": _id(key)}, change, upsert=True)


def begin(database: Database[Document], key: Key) -> None:
    """Note that a stage is awake, if nothing is known of it yet."""
    try:
        unknown = {"_id": _id(key), "state": {"$exists": False}}
        change: Mapping[str, Any] = {"$set": {"state": str(State.AWAKE)}, "$currentDate": {"since": True}}
        database[COLLECTION].update_one(unknown, change, upsert=True)
    except DuplicateKeyError:  # it is known
        return


def _id(key: Key) -> str:
    return f"{key[0]}:{key[1]}"
