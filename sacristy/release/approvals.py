"""A second person's word: who asks for it, who looked at an image and agrees that it goes to a stage.

A promotion that lacks approvals leaves a request, which the others see (`sacristy approvals`, the page for ops). It is
open until the stage moves, by whomever and to whatever: then what was asked for is to be asked anew.
Who somebody is, is what Settings.user says: the approval is a record between people who trust each other's machines,
not a proof against one who lies about that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from pymongo.database import Database

from sacristy.errors import ApprovalMissing, ApprovalWithoutReason, OwnRequest
from sacristy.names import Stage, parse_stage, parse_version
from sacristy.release import evidence, moves
from sacristy.release.desk import Desk, Document
from sacristy.release.order import NEWEST_FIRST, OLDEST_FIRST, next_place, place_of
from sacristy.settings import Promotion
from sacristy.targets.target import Image

COLLECTION = "approvals"
ASKED = "asked"  # the kind of a request; an approval has none
MOST_OPEN = 100


@dataclass(frozen=True)
class Pending:
    """What waits for others' word. `by`, `why` and `at` are those of the newest request; `asked_by`: all who asked.

    `given`: the approvals that count for it; `wanted`: how many the policy asks for.
    """

    model: str
    stage: str
    version: str
    run: int
    digest: str
    by: str
    why: str
    at: Any
    asked_by: tuple[str, ...]
    given: tuple[Document, ...]
    wanted: int

    @property
    def lacking(self) -> int:
        """How many approvals it still needs."""
        return max(0, self.wanted - len(self.given))

    def may_promote(self, user: str) -> bool:
        """Say whether the approvals are enough for a promotion by this person, whose own does not count."""
        return len([each for each in self.given if each["by"] != user]) >= self.wanted

    def refuses(self, user: str) -> str:
        """Return why a person's word is not wanted (any more), or an empty string."""
        if set(self.asked_by) == {user}:
            return "asked for by you"
        return "approved by you" if user in {each["by"] for each in self.given} else ""


def approve(desk: Desk, image: Image, stage: Stage, why: str) -> Document:
    """Record that the desk's user agrees. Doing it twice keeps the first one.

    Raises ApprovalWithoutReason, OwnRequest (nobody else asked for it), NoEvidence or NotAccepted: nobody can approve
    what was not tested.
    """
    if not why.strip():
        raise ApprovalWithoutReason(image=image, stage=stage)
    proof = evidence.require(desk.database, image.digest, str(image))
    mine = [given for given in in_force(desk.database, image, stage) if given["by"] == desk.user]
    if mine:
        return mine[0]
    asked = _open(desk.database, {"model": image.model, "stage": str(stage), "digest": image.digest})
    if {request["by"] for request in asked} == {desk.user}:
        raise OwnRequest(image=image, stage=stage, user=desk.user)
    approval = _word(desk, image, stage, why) | {"evidence": {"at": proof["at"], "figures": proof["figures"]}}
    desk.database[COLLECTION].insert_one(approval)
    return approval


def require(desk: Desk, image: Image, stage: Stage, why: str) -> list[Document]:
    """Return the approvals that count for a promotion by the desk's user, or ask for them and raise ApprovalMissing.

    Production only; the promoter's own approval does not count.
    """
    given = [each for each in in_force(desk.database, image, stage) if each["by"] != desk.user]
    wanted = desk.policy.approvals if stage is Stage.PRODUCTION else 0
    if len(given) < wanted:
        _ask(desk, image, stage, why)
        raise ApprovalMissing(image=image, stage=stage, user=desk.user, wanted=wanted, found=len(given))
    return [{key: each[key] for key in ("by", "why", "at")} for each in given]


def in_force(database: Database[Document], image: Image, stage: Stage) -> list[Document]:
    """Return the approvals of an image for a stage that no promotion has used up yet, oldest first."""
    promoted = [
        place_of(move)
        for move in moves.events(database, image.model, stage)
        if move["action"] == "promoted" and move["to"] == image.digest and move["state"] == "done"
    ]
    query: Document = {"model": image.model, "stage": str(stage), "digest": image.digest, "kind": {"$ne": ASKED}}
    given = database[COLLECTION].find(query).sort(OLDEST_FIRST)
    return [approval for approval in given if not promoted or place_of(approval) > max(promoted)]


def pending(database: Database[Document], policy: Promotion, model: str | None = None) -> list[Pending]:
    """Return what was asked for and is still open, the newest first, whether it has its approvals by now or not."""
    found: dict[tuple[str, str, str], list[Document]] = {}
    for request in _open(database, {"model": model} if model else {}):
        found.setdefault((request["model"], request["stage"], request["digest"]), []).append(request)
    return [_pending(database, policy, requests) for requests in found.values()]


def entries(database: Database[Document], model: str | None = None, most: int = 0) -> list[Document]:
    """Return all approvals and requests ever made as the audit trail shows them, newest first. `most`: 0 for all."""
    found = database[COLLECTION].find({"model": model} if model else {}).sort(NEWEST_FIRST).limit(most)
    same = {"state": "done", "from": None, "evidence": None}
    return [same | each | {"action": each.get("kind", "approved"), "to": each["digest"]} for each in found]


def _pending(database: Database[Document], policy: Promotion, requests: list[Document]) -> Pending:
    newest = requests[0]
    image = Image(newest["model"], parse_version(newest["version"]), newest["run"], newest["digest"])
    given = [each for each in in_force(database, image, parse_stage(newest["stage"])) if each["by"] != newest["by"]]
    return Pending(
        **{name: newest[name] for name in ("model", "stage", "version", "run", "digest", "by", "why", "at")},
        asked_by=tuple(dict.fromkeys(request["by"] for request in requests)),
        given=tuple({name: each[name] for name in ("by", "why", "at")} for each in given),
        wanted=policy.approvals if newest["stage"] == Stage.PRODUCTION else 0,
    )


def _ask(desk: Desk, image: Image, stage: Stage, why: str) -> None:
    """Record that the desk's user waits for others' word. Doing it twice keeps the first one."""
    same = {"model": image.model, "stage": str(stage), "digest": image.digest, "by": desk.user}
    if not _open(desk.database, same):
        desk.database[COLLECTION].insert_one({"kind": ASKED} | _word(desk, image, stage, why))


def _open(database: Database[Document], query: Document) -> list[Document]:
    """Return the newest requests after which their stage has not moved, however many that are closed are newer."""
    asked = database[COLLECTION].find(query | {"kind": ASKED}).sort(NEWEST_FIRST)
    moved: dict[tuple[str, str], Document | None] = {}
    still = []
    for request in asked:
        place = request["model"], request["stage"]
        if place not in moved:
            moved[place] = moves.last(database, *place)
        last = moved[place]
        if last is None or place_of(request) > place_of(last):
            still.append(request)
        if len(still) == MOST_OPEN:
            break
    return still


def _word(desk: Desk, image: Image, stage: Stage, why: str) -> Document:
    word = {
        "_id": ObjectId(),
        "model": image.model,
        "stage": str(stage),
        "digest": image.digest,
        "version": str(image.version),
        "run": image.run,
        "by": desk.user,
        "why": why,
    }
    return word | next_place(desk.database).fields()
