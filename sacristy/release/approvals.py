"""A second person's word: who looked at an image and agrees that it goes to a stage.

Who somebody is, is what Settings.user says: the approval is a record between people who trust each other's machines,
not a proof against one who lies about that.
"""

from __future__ import annotations

from bson import ObjectId
from pymongo.database import Database

from sacristy.errors import ApprovalMissing, ApprovalWithoutReason
from sacristy.names import Stage
from sacristy.release import evidence, moves
from sacristy.release.desk import Desk, Document
from sacristy.release.order import OLDEST_FIRST, next_place, place_of
from sacristy.targets.target import Image

COLLECTION = "approvals"


def approve(desk: Desk, image: Image, stage: Stage, why: str) -> Document:
    """Record that the desk's user agrees. Doing it twice keeps the first one.

    Raises ApprovalWithoutReason, NoEvidence or NotAccepted: nobody can approve what was not tested.
    """
    if not why.strip():
        raise ApprovalWithoutReason(image=image, stage=stage)
    proof = evidence.require(desk.database, image.digest, str(image))
    mine = [given for given in in_force(desk.database, image, stage) if given["by"] == desk.user]
    if mine:
        return mine[0]
    approval = {
        "_id": ObjectId(),
        "model": image.model,
        "stage": str(stage),
        "digest": image.digest,
        "version": str(image.version),
        "run": image.run,
        "by": desk.user,
        "why": why,
        "evidence": {"at": proof["at"], "figures": proof["figures"]},
    } | next_place(desk.database).fields()
    desk.database[COLLECTION].insert_one(approval)
    return approval


def require(desk: Desk, image: Image, stage: Stage) -> list[Document]:
    """Return the approvals that count for a promotion by the desk's user, or raise ApprovalMissing.

    Production only; the promoter's own approval does not count.
    """
    given = [each for each in in_force(desk.database, image, stage) if each["by"] != desk.user]
    wanted = desk.policy.approvals if stage is Stage.PRODUCTION else 0
    if len(given) < wanted:
        raise ApprovalMissing(image=image, stage=stage, user=desk.user, wanted=wanted, found=len(given))
    return [{key: each[key] for key in ("by", "why", "at")} for each in given]


def in_force(database: Database[Document], image: Image, stage: Stage) -> list[Document]:
    """Return the approvals of an image for a stage that no promotion has used up yet, oldest first."""
    promoted = [
        place_of(move)
        for move in moves.events(database, image.model, stage)
        if move["action"] == "promoted" and move["to"] == image.digest and move["state"] == "done"
    ]
    query: Document = {"model": image.model, "stage": str(stage), "digest": image.digest}
    given = database[COLLECTION].find(query).sort(OLDEST_FIRST)
    return [approval for approval in given if not promoted or place_of(approval) > max(promoted)]


def approvals(database: Database[Document], model: str | None = None) -> list[Document]:
    """Return all approvals ever given, oldest first."""
    return list(database[COLLECTION].find({"model": model} if model else {}).sort(OLDEST_FIRST))
