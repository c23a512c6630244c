"""The records of moved stages: what was meant to happen, what did, and what that leaves a stage at.

Crash-safe: an event is written as `moving` before the tag moves and as `done` after it. Whoever comes next finds an
event still `moving` and looks at the tag: at the new digest the move happened, at the old one it did not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bson import ObjectId
from pymongo.database import Database

from sacristy.errors import StageMovedByHand
from sacristy.names import Stage
from sacristy.release.desk import Desk, Document
from sacristy.release.order import NEWEST_FIRST, OLDEST_FIRST, next_place
from sacristy.targets.target import Image
from sacristy.tracking.runs import CARD_DUE, annotate

Action = Literal["promoted", "rolled_back", "adopted"]
COLLECTION = "promotions"


@dataclass(frozen=True)
class Settled:
    """Where a stage is (None: nothing is there), and the interrupted move that turned out to have happened."""

    digest: str | None
    completed: Document | None = None


def settle(desk: Desk, model: str, stage: Stage, *, adopt: bool) -> Settled:
    """Finish or undo what interrupted moves left. The caller holds the model's lock.

    Raises StageMovedByHand when the tag is not where the last event put it and neither `adopt` nor the policy takes
    it as it is.
    """
    found = desk.registry.stages(model).get(stage)
    completed = None
    for event in interrupted(desk.database, model, stage):
        if found == event["to"]:
            note(desk, event)
            finish(desk, event)
            completed = event | {"state": "done"}
        else:
            _end(desk, event, "undone")
    recorded = in_force(desk.database, model, stage)
    if found != recorded:
        if not adopt and desk.policy.stages_moved_by_hand != "adopt":
            raise StageMovedByHand(model=model, stage=stage, found=found or "nothing", recorded=recorded or "nothing")
        if found:
            _adopt(desk, model, stage, recorded, found)
    return Settled(found, completed)


def events(database: Database[Document], model: str | None = None, stage: Stage | None = None) -> list[Document]:
    """Return the recorded moves, oldest first."""
    wanted = {"model": model, "stage": stage}
    query = {key: value for key, value in wanted.items() if value}
    return list(database[COLLECTION].find(query).sort(OLDEST_FIRST))


def newest(database: Database[Document], model: str | None, most: int) -> list[Document]:
    """Return so many of the last recorded moves, newest first: for those who only look."""
    return list(database[COLLECTION].find({"model": model} if model else {}).sort(NEWEST_FIRST).limit(most))


def last(database: Database[Document], model: str, stage: str) -> Document | None:
    """Return a stage's last move that was done, if there was one."""
    done = {"model": model, "stage": stage, "state": "done"}
    return database[COLLECTION].find_one(done, sort=NEWEST_FIRST)


def interrupted(database: Database[Document], model: str, stage: Stage) -> list[Document]:
    """Return the moves that began and whose end is not recorded, oldest first."""
    return [event for event in events(database, model, stage) if event["state"] == "moving"]


def history(moves: list[Document]) -> list[str]:
    """Replay a stage's moves: the digests that a rollback can go back through; the last one is in force."""
    digests: list[str] = []
    for move in moves:
        if move["state"] != "done":
            continue
        if move["action"] == "rolled_back":
            digests.pop()
        elif not digests or digests[-1] != move["to"]:
            digests.append(move["to"])
    return digests


def in_force(database: Database[Document], model: str, stage: Stage) -> str | None:
    """Return the digest that the records say a stage points at."""
    past = history(events(database, model, stage))
    return past[-1] if past else None


def begin(desk: Desk, event: Document) -> None:
    """Record that a stage is about to move; the event gets its place in the order now."""
    event |= next_place(desk.database).fields()
    desk.database[COLLECTION].insert_one(event)


def note(desk: Desk, event: Document) -> None:
    """Note the move in the run, and in those that the stage had before."""
    stage = event["stage"]
    there = {"sacristy.stage": stage, "experiment.name": event["model"], "_id": {"$ne": event["run"]}}
    left = {f"sacristy.stages.{stage}.until": event["at"], CARD_DUE: ObjectId()}
    desk.database.runs.update_many(there, {"$pull": {"sacristy.stage": stage}, "$set": left})
    facts = {"digest": event["to"], "at": event["at"], "by": event["by"]}
    annotate(desk.database, event["run"], f"stages.{stage}", facts)
    desk.database.runs.update_one({"_id": event["run"]}, {"$addToSet": {"sacristy.stage": stage}})


def finish(desk: Desk, event: Document) -> None:
    """Record that a stage has moved."""
    _end(desk, event, "done")


def new_event(action: Action, desk: Desk, image: Image, stage: Stage, before: str | None, why: str) -> Document:
    """Return the record of a move that is about to begin."""
    return {
        "_id": ObjectId(),
        "action": action,
        "model": image.model,
        "stage": str(stage),
        "from": before,
        "to": image.digest,
        "version": str(image.version),
        "run": image.run,
        "by": desk.user,
        "why": why,
        "evidence": None,
        "approvals": [],
        "signature": None,
        "state": "moving",
    }


def _adopt(desk: Desk, model: str, stage: Stage, recorded: str | None, found: str) -> None:
    image = desk.registry.image(model, found)
    event = new_event("adopted", desk, image, stage, recorded, "the stage was moved by hand; adopted")
    begin(desk, event | {"state": "done"})


def untold(database: Database[Document], model: str, stage: Stage) -> Document | None:
    """Return the stage's last move if it is a rollback whose command was killed before it could say so."""
    done = [event for event in events(database, model, stage) if event["state"] == "done"]
    return done[-1] if done and done[-1].get("told") is False else None


def tell(desk: Desk, event: Document) -> None:
    """Record that the command that moved a stage came to its end: repeating it from now on means a further move."""
    desk.database[COLLECTION].update_one({"_id": event["_id"]}, {"$set": {"told": True}})


def _end(desk: Desk, event: Document, state: str) -> None:
    desk.database[COLLECTION].update_one(
        {"_id": event["_id"]}, {"$set": {"state": state}, "$currentDate": {"settled": True}}
    )
