"""A second version beside a stage's own: started, given a share of the requests, promoted or dropped.

A canary answers its share of the users. A mirror is asked copies, which nobody waits for and nobody gets to see.
Both obey the rules of a deployment: only what passed its test, with a signature that counts, by digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pymongo import DESCENDING

from sacristy.errors import DeploymentFailed, NothingBeside, NothingDeployed, SameVersion
from sacristy.names import Stage
from sacristy.operator.bringup import Clock, bring_up, route_to
from sacristy.operator.deployment import COLLECTION, Deployment, Yard, answers, current, deploy, retire, standing_by
from sacristy.operator.strays import stop_strays
from sacristy.release import evidence, promotion
from sacristy.release.lock import release_lock
from sacristy.release.verdict import now
from sacristy.targets.routes import RETRY_AFTER_S, Route, Share, ShareKind, set_share, this_moment
from sacristy.targets.target import Image, Progress

ENDS = ("dropped", "withdrawn", "promoted")  # what became of a canary or mirror
Percents = dict[ShareKind, float]


def put_beside(
    yard: Yard, image: Image, stage: Stage, percents: Percents, why: str, progress: Progress = lambda _: None
) -> Route:
    """Start an image beside a stage's own and give it shares of the requests, in percent; return its route.

    An instance of the same image that is beside it already is used again. What else had such a share goes.
    Raises NothingDeployed, SameVersion, NoEvidence, NotAccepted, Unsigned, SignatureInvalid, DeploymentFailed or
    ReleaseLocked; what answers for the stage is never touched.
    """
    model = image.model
    with release_lock(yard.database, f"{model}:{stage}", "canary", yard.user):
        stop_strays(yard, model, stage)
        old = current(yard, model, stage)
        if old is None:
            raise NothingDeployed(model=model, stage=stage, retry_after_s=RETRY_AFTER_S)
        if old.digest == image.digest:
            raise SameVersion(image=image, stage=stage)
        evidence.require(yard.database, image.digest, str(image))
        route = standing_by(yard, image, old) or _start(yard, image, stage, old, progress)
        for kind, percent in percents.items():
            set_share(yard.settings.routes_file, model, stage, kind, Share(route, percent, this_moment()))
            _record(yard, model, stage, route, kind, why, percent)
        retire(yard, old)
    return route


def take_away(yard: Yard, model: str, stage: Stage, why: str) -> list[str]:
    """Take the shares of what is beside a stage's own and stop it; return the versions.

    Raises NothingBeside or ReleaseLocked.
    """
    with release_lock(yard.database, f"{model}:{stage}", "end of the canary", yard.user):
        old = current(yard, model, stage)
        if old is None or not old.shares:
            raise NothingBeside(model=model, stage=stage)
        return _take_away(yard, model, stage, old, old.shares, "dropped", why)


def withdraw(yard: Yard, model: str, stage: Stage, digest: str, why: str) -> list[str]:
    """Take the shares of one image away, because it does badly, and stop it; return its version, if it had any.

    Raises ReleaseLocked.
    """
    with release_lock(yard.database, f"{model}:{stage}", "withdrawal of the canary", yard.user):
        old = current(yard, model, stage)
        shares = {kind: share for kind, share in old.shares.items() if share.route.digest == digest} if old else {}
        return _take_away(yard, model, stage, old, shares, "withdrawn", why) if old else []


def promote(yard: Yard, model: str, stage: Stage, route: Route, why: str) -> Deployment:
    """Move a stage to the canary beside it, and let it answer for all of the stage.

    Raises what promotion and deploy raise.
    """
    image = yard.registry.image(model, route.digest)
    promotion.promote(yard.desk, image, stage, why)
    _record(yard, model, stage, route, "promoted", why)
    return deploy(yard, model, stage)


def last_end(yard: Yard, model: str, stage: Stage) -> dict[str, Any] | None:
    """Return the record of what became of the last canary or mirror of a stage."""
    ended = {"model": model, "stage": str(stage), "state": {"$in": list(ENDS)}}
    return yard.database[COLLECTION].find_one(ended, sort=[("at", DESCENDING)])


def revive(yard: Yard, model: str, stage: Stage, progress: Progress = lambda _: None) -> None:
    """Start again what was beside a stage's own and does not run, after the machine or the stack was down.

    What cannot be started loses its share. Raises ReleaseLocked, DeploymentFailed or what starting raises.
    """
    with release_lock(yard.database, f"{model}:{stage}", "canary", yard.user):
        old = current(yard, model, stage)
        for kind, share in old.shares.items() if old else ():
            if answers(yard, share.route):
                continue
            set_share(yard.settings.routes_file, model, stage, kind, None)
            image = yard.registry.image(model, share.route.digest)
            route = standing_by(yard, image, current(yard, model, stage)) or _start(yard, image, stage, old, progress)
            set_share(yard.settings.routes_file, model, stage, kind, replace(share, route=route))


def _take_away(
    yard: Yard, model: str, stage: Stage, old: Route, shares: Mapping[ShareKind, Share], state: str, why: str
) -> list[str]:
    for kind in shares:
        set_share(yard.settings.routes_file, model, stage, kind, None)
    retire(yard, old)
    for share in {share.route.instance: share for share in shares.values()}.values():
        _record(yard, model, stage, share.route, state, why)
    return sorted({share.route.version for share in shares.values()})


def _start(yard: Yard, image: Image, stage: Stage, old: Route | None, progress: Progress) -> Route:
    kept = f"{image.model}:{old.version} answers alone" if old else "nothing answers for that stage"
    try:
        return route_to(bring_up(yard, image, stage, kept, Clock({}), progress))
    except DeploymentFailed as error:
        route = Route("", str(image.version), image.digest, image.run, yard.target.name, "")
        _record(yard, image.model, stage, route, "canary failed", str(error.fields["reason"]))
        raise


def _record(
    yard: Yard, model: str, stage: Stage, route: Route, state: str, why: str, percent: float | None = None
) -> None:
    document = {
        "model": model,
        "stage": str(stage),
        "version": route.version,
        "run": route.run,
        "digest": route.digest,
        "target": route.target,
        "state": str(state),
        "reason": why,
        "percent": percent,
        "by": yard.user,
        "at": now(),
    }
    yard.database[COLLECTION].insert_one(document)
