"""Moving a stage: the one place where a stage's tag is set. What is safe about it is told in moves.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from sacristy.errors import NothingToRollBack, SacristyError, StageEmpty, WhyMissing
from sacristy.faults import reach
from sacristy.images import signature
from sacristy.names import Stage
from sacristy.release import approvals, evidence, moves
from sacristy.release.desk import Desk, Document
from sacristy.release.lock import release_lock
from sacristy.targets.target import Image

Verb = Literal["promote", "rollback"]


def promote(desk: Desk, image: Image, stage: Stage, why: str, *, adopt: bool = False) -> Document:
    """Sign an image, move a stage to it, and return the event.

    Raises WhyMissing, ReleaseLocked, StageMovedByHand (unless `adopt`), NoEvidence, NotAccepted, ApprovalMissing,
    NotInitialised (no key), TagMoved.
    """
    require_why(image.model, stage, why)
    with release_lock(desk.database, image.model, f"promotion to {stage}", desk.user):
        reach("promote", "locked")
        before = moves.settle(desk, image.model, stage, adopt=adopt).digest
        reach("promote", "settled")
        event = moves.new_event("promoted", desk, image, stage, before, why)
        event["evidence"] = _summary(evidence.require(desk.database, image.digest, str(image)))
        event["approvals"] = approvals.require(desk, image, stage, why)
        reach("promote", "judged")
        return _move(desk, "promote", event)


def rollback(desk: Desk, model: str, stage: Stage, why: str, then: Callable[[], object] = lambda: None) -> Document:
    """Move a stage back to what it pointed at before, do what belongs to that (`then`), and return the event.

    The earlier image must still be in the registry, and have passed a test once, which one that was moved there by
    hand need not have: nothing is touched otherwise. A rollback that was killed after
    the tag had moved and before `then` was done is completed by the next one, which has `resumed` in its event, and
    not done twice.
    Raises WhyMissing, ReleaseLocked, StageMovedByHand, NothingToRollBack, ImageNotFound, NoEvidence, NotAccepted,
    TagMoved, what `then` raises.
    """
    require_why(model, stage, why)
    event = _one_back(desk, model, stage, why)
    try:
        then()
    except SacristyError:  # its failure is told as well
        moves.tell(desk, event)
        raise
    moves.tell(desk, event)
    return event


def _one_back(desk: Desk, model: str, stage: Stage, why: str) -> Document:
    with release_lock(desk.database, model, f"rollback of {stage}", desk.user):
        reach("rollback", "locked")
        settled = moves.settle(desk, model, stage, adopt=False)
        reach("rollback", "settled")
        if unfinished := moves.untold(desk.database, model, stage):
            return unfinished | {"resumed": True}
        if settled.digest is None:
            raise StageEmpty(model=model, stage=stage)
        earlier = moves.history(moves.events(desk.database, model, stage))[:-1]
        if not earlier:
            raise NothingToRollBack(model=model, stage=stage)
        image = desk.registry.image(model, earlier[-1])
        event = moves.new_event("rolled_back", desk, image, stage, settled.digest, why) | {"told": False}
        event["evidence"] = _summary(evidence.require_once(desk.database, image.digest, str(image)))
        reach("rollback", "judged")
        return _move(desk, "rollback", event)


def settled(desk: Desk, model: str, stage: Stage) -> str:
    """Return the digest that a stage points at by a recorded move, having completed an interrupted one.

    Raises StageEmpty, StageMovedByHand, or ReleaseLocked while somebody is moving it.
    """
    digest = desk.registry.stages(model).get(stage)
    recorded = moves.in_force(desk.database, model, stage)
    if digest != recorded or moves.interrupted(desk.database, model, stage):
        with release_lock(desk.database, model, f"look at {stage}", desk.user):
            digest = moves.settle(desk, model, stage, adopt=False).digest
    if digest is None:
        raise StageEmpty(model=model, stage=stage)
    return digest


def _move(desk: Desk, verb: Verb, event: Document) -> Document:
    model, digest = event["model"], event["to"]
    event["signature"] = signature.attach(desk.registry, model, digest, desk.keys)
    reach(verb, "signed")
    moves.begin(desk, event)
    reach(verb, "recorded")
    desk.registry.tag(model, event["stage"], digest, expected=event["from"])
    reach(verb, "moved")
    moves.note(desk, event)
    reach(verb, "noted")
    moves.finish(desk, event)
    reach(verb, "finished")
    return event | {"state": "done"}


def _summary(proof: Document) -> Document:
    return {"at": proof["at"], "figures": proof["figures"]}


def require_why(model: str, stage: Stage, why: str) -> None:
    """Raise WhyMissing where a move needs a reason and none is given."""
    if stage is Stage.PRODUCTION and not why.strip():
        raise WhyMissing(model=model)
