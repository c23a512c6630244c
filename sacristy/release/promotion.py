"""Moving a stage: the one place where a stage's tag is set.

Crash-safe: the event is written as `moving` before the tag moves and as `done` after it. Whoever comes next finds
an event still `moving` and looks at the tag: at the new digest the move happened, at the old one it did not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from bson import ObjectId
from pymongo import ASCENDING
from pymongo.database import Database

from sacristy.errors import NothingToRollBack, StageEmpty, StageMovedByHand, WhyMissing
from sacristy.images.registry import Registry
from sacristy.names import Stage
from sacristy.release import evidence
from sacristy.release.lock import release_lock
from sacristy.release.verdict import now
from sacristy.targets.target import Image
from sacristy.tracking.runs import annotate

Document = dict[str, Any]
Action = Literal["promoted", "rolled_back", "adopted"]
COLLECTION = "promotions"


@dataclass(frozen=True)
class Desk:
    """Where releases are decided: the events, the registry, and who acts."""

    database: Database[Document]
    registry: Registry
    user: str


def promote(desk: Desk, image: Image, stage: Stage, why: str, *, adopt: bool = False) -> Document:
    """Move a stage to an image and return the event.

    Raises WhyMissing, ReleaseLocked, StageMovedByHand (unless `adopt`), NoEvidence, NotAccepted, TagMoved.
    """
    _require_why(image.model, stage, why)
    with release_lock(desk.database, image.model, f"promotion to {stage}", desk.user):
        before = settle(desk, image.model, stage, adopt=adopt)
        proof = evidence.require(desk.database, image.digest, str(image))
        return _move(desk, "promoted", image, stage, before, why, proof)


def rollback(desk: Desk, model: str, stage: Stage, why: str) -> Document:
    """Move a stage back to what it pointed at before, and return the event.

    The earlier image must still be in the registry: nothing is touched otherwise.
    Raises WhyMissing, ReleaseLocked, StageMovedByHand, NothingToRollBack, ImageNotFound, TagMoved.
    """
    _require_why(model, stage, why)
    with release_lock(desk.database, model, f"rollback of {stage}", desk.user):
        before = settle(desk, model, stage, adopt=False)
        if before is None:
            raise StageEmpty(model=model, stage=stage)
        earlier = history(events(desk.database, model, stage))[:-1]
        if not earlier:
            raise NothingToRollBack(model=model, stage=stage)
        image = desk.registry.image(model, earlier[-1])
        proof = evidence.latest(desk.database, image.digest)
        return _move(desk, "rolled_back", image, stage, before, why, proof)


def settle(desk: Desk, model: str, stage: Stage, *, adopt: bool) -> str | None:
    """Finish what an interrupted promotion left, and return the digest that the stage points at (None: nothing).

    Raises StageMovedByHand when the tag is not where the last event put it and `adopt` is not given.
    """
    found = desk.registry.tags(model).get(stage)
    for event in desk.database[COLLECTION].find({"model": model, "stage": stage, "state": "moving"}):
        state = "done" if found == event["to"] else "undone"
        desk.database[COLLECTION].update_one({"_id": event["_id"]}, {"$set": {"state": state, "settled": now()}})
    past = history(events(desk.database, model, stage))
    recorded = past[-1] if past else None
    if found == recorded:
        return found
    if not adopt:
        raise StageMovedByHand(model=model, stage=stage, found=found or "nothing", recorded=recorded or "nothing")
    if found:
        image = desk.registry.image(model, found)
        why = "the stage was moved by hand; adopted"
        desk.database[COLLECTION].insert_one(_event("adopted", desk, image, stage, recorded, why, None, "done"))
    return found


def events(database: Database[Document], model: str | None = None, stage: Stage | None = None) -> list[Document]:
    """Return the recorded moves, oldest first."""
    wanted = {"model": model, "stage": stage}
    query = {key: value for key, value in wanted.items() if value}
    return list(database[COLLECTION].find(query).sort([("at", ASCENDING), ("_id", ASCENDING)]))


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


def _move(
    desk: Desk, action: Action, image: Image, stage: Stage, before: str | None, why: str, proof: Document | None
) -> Document:
    event = _event(action, desk, image, stage, before, why, proof, "moving")
    event["_id"] = desk.database[COLLECTION].insert_one(event).inserted_id
    desk.registry.tag(image.model, stage, image.digest, expected=before)
    desk.database[COLLECTION].update_one({"_id": event["_id"]}, {"$set": {"state": "done"}})
    annotate(desk.database, image.run, f"stages.{stage}", {"digest": image.digest, "at": event["at"], "by": desk.user})
    return event | {"state": "done"}


def _event(
    action: Action,
    desk: Desk,
    image: Image,
    stage: Stage,
    before: str | None,
    why: str,
    proof: Document | None,
    state: str,
) -> Document:
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
        "evidence": {"at": proof["at"], "figures": proof["figures"]} if proof else None,
        "at": now(),
        "state": state,
    }


def _require_why(model: str, stage: Stage, why: str) -> None:
    if stage is Stage.PRODUCTION and not why.strip():
        raise WhyMissing(model=model)
