"""Making a stage's image run: start the new one, ask it for real, switch, drain, stop the old one.

If the new one fails, it is the one to go: its last lines are kept as the cause, and what ran before runs on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pymongo import DESCENDING
from pymongo.database import Database

from sacristy.errors import DeploymentFailed, RolloutFailed, SacristyError
from sacristy.faults import reach
from sacristy.images.registry import Registry
from sacristy.images.signature import verify
from sacristy.names import Stage
from sacristy.operator import calls
from sacristy.operator.bringup import Clock, bring_up, route_to
from sacristy.operator.strays import routed, stop_strays
from sacristy.release.desk import Desk, open_desk
from sacristy.release.lock import release_lock
from sacristy.release.promotion import settled
from sacristy.release.verdict import now
from sacristy.settings import Settings
from sacristy.targets.readiness import is_ready
from sacristy.targets.routes import Route, every_route, read_routes, set_route
from sacristy.targets.target import Image, Instance, Progress, Target
from sacristy.tracking.runs import annotate
from sacristy.weights.store import Store

Document = dict[str, Any]
COLLECTION = "deployments"
DRAIN_S = 0.5  # for requests that read the old route and have not connected yet


@dataclass
class Yard:
    """What a deployment works with."""

    settings: Settings
    database: Database[Document]
    registry: Registry
    store: Store
    target: Target
    user: str
    others: Mapping[str, Target] = field(default_factory=dict)

    def target_named(self, name: str) -> Target:
        """Return the target of an instance: this deployment's, or the one that a stage moves away from."""
        return self.others.get(name, self.target) if name != self.target.name else self.target

    @property
    def desk(self) -> Desk:
        """Where it is asked what a stage is to run, and whose signature counts."""
        return open_desk(self.settings, self.database, self.registry)


@dataclass
class Deployment:
    """What was done for a model's stage, and how long each part took, in seconds."""

    image: Image
    stage: Stage
    changed: bool
    url: str
    parts: dict[str, float] = field(default_factory=dict)
    replaced: str | None = None
    at: datetime = field(default_factory=now)

    @property
    def took_s(self) -> float:
        """Seconds from the decision to the old version's end."""
        return sum(self.parts.values())


def deploy(yard: Yard, model: str, stage: Stage, progress: Progress = lambda _: None) -> Deployment:
    """Make a stage's image answer for the stage, without a failed request. Doing it twice changes nothing.

    Raises StageEmpty, StageMovedByHand, ReleaseLocked, Unsigned or SignatureInvalid before anything is started;
    DeploymentFailed (what ran before still runs), or what starting raises. What a killed deployment left is cleared.
    """
    with release_lock(yard.database, f"{model}:{stage}", "deployment", yard.user):
        reach("deploy", "locked")
        digest = settled(yard.desk, model, stage)
        reach("deploy", "settled")
        stop_strays(yard, model, stage)
        reach("deploy", "cleared")
        image = yard.registry.image(model, digest)
        old = current(yard, model, stage)
        if old and old.digest == digest and old.target == yard.target.name and is_well(yard, old):
            if old != read_routes(yard.settings.routes_file).get(model, {}).get(stage):
                set_route(yard.settings.routes_file, model, stage, old)  # another machine deployed it
            if old.idle_s:
                calls.begin(yard.database, (model, stage))
            return _unchanged(yard, Deployment(image, stage, changed=False, url=old.url))
        deployment = Deployment(image, stage, changed=True, url="", replaced=old.version if old else None)
        return _replace(yard, deployment, old, progress)


def _replace(yard: Yard, deployment: Deployment, old: Route | None, progress: Progress) -> Deployment:
    image, stage = deployment.image, deployment.stage
    clock = Clock(deployment.parts)
    waiting = standing_by(yard, image, old) or half_way(yard, image, stage)
    asked = waiting or _bring_up(yard, deployment, old, clock, progress)
    route = _settle(yard, deployment, asked, old, clock, in_use=waiting is not None)
    progress(f"switch to {image}")
    try:
        set_route(yard.settings.routes_file, image.model, stage, route)
    except BaseException:
        if not waiting and route is asked:  # a stage's rollout is not undone for it: the next deployment finds it
            yard.target.stop(route.instance)
        raise
    deployment.url = route.url
    if route.idle_s:
        calls.awake(yard.database, (image.model, stage))
    clock.lap("switched")
    retire(yard, old)
    clock.lap("drained")
    record(yard, deployment, "live")
    reach("deploy", "recorded")
    return deployment


def standing_by(yard: Yard, image: Image, old: Route | None) -> Route | None:
    """Return the route of a canary or mirror that is this very image: it answers already, so nothing is started."""
    for share in old.shares.values() if old else ():
        route = share.route
        if route.digest == image.digest and route.target == yard.target.name and answers(yard, route):
            verify(yard.registry, image.model, image.digest, yard.desk.keys)
            return route
    return None


def half_way(yard: Yard, image: Image, stage: Stage) -> Route | None:
    """Return the route of what serves a stage if that is to be this very image, as a killed rollout leaves it.

    It was asked before that rollout began, so that one goes on, and is waited for.
    """
    found = yard.target.found(image.model, stage) if yard.target.keeps_stages else None
    if found is None or found.image.digest != image.digest:
        return None
    verify(yard.registry, image.model, image.digest, yard.desk.keys)
    return route_to(found)


def _bring_up(yard: Yard, deployment: Deployment, old: Route | None, clock: Clock, progress: Progress) -> Route:
    image = deployment.image
    kept = f"{image.model}:{old.version} still answers" if old else "nothing answers for that stage"
    try:
        return route_to(bring_up(yard, image, deployment.stage, kept, clock, progress))
    except SacristyError as error:
        record(yard, deployment, "failed", str(error.fields.get("reason", error)))
        raise


def _settle(
    yard: Yard, deployment: Deployment, asked: Route, old: Route | None, clock: Clock, *, in_use: bool
) -> Route:
    """Let what answered well serve the stage, where the target has to do more for that than to be sent requests."""
    image, stage = deployment.image, deployment.stage
    instance = Instance(asked.instance, image, asked.url, asked.target)
    try:
        placed = yard.target.settle(instance, in_use=in_use)
    except RolloutFailed as error:
        record(yard, deployment, "failed", str(error))
        kept = f"{image.model}:{old.version} still answers" if old else "nothing answers for that stage"
        last = error.fields["cause"]
        raise DeploymentFailed(
            image=image, model=image.model, stage=stage, reason=error, kept=kept, cause=last
        ) from None
    except BaseException:  # the cluster refused or was away before any rollout
        if not in_use:
            yard.target.stop(asked.instance)
        raise
    clock.lap("placed")
    return asked if placed is instance else route_to(placed)


def _unchanged(yard: Yard, deployment: Deployment) -> Deployment:
    """Record a deployment whose operator was killed before it could; mostly there is nothing to do."""
    image, stage = deployment.image, deployment.stage
    newest = {"model": image.model, "stage": str(stage), "state": {"$in": ["live", "failed"]}}
    last = yard.database[COLLECTION].find_one(newest, sort=[("at", DESCENDING)])
    if last is None or (last["digest"], last["state"]) != (image.digest, "live"):
        record(yard, deployment, "live")
    return deployment


def current(yard: Yard, model: str, stage: Stage) -> Route | None:
    """Return where a stage's requests go now: as the target knows for all machines, else as this one remembers.

    What is beside it is this machine's own knowledge.
    """
    known = read_routes(yard.settings.routes_file).get(model, {}).get(stage)
    found = yard.target.found(model, stage)
    if found is None or (known and (known.instance, known.url) == (found.name, found.url)):
        return known
    shares = known.shares.items() if known else ()
    kept: Any = {kind: share for kind, share in shares if share.route.digest != found.image.digest}
    return replace(route_to(found), **kept)


def answers(yard: Yard, route: Route) -> bool:
    """Say whether the instance of a route runs and is ready."""
    return yard.target_named(route.target).is_running(route.instance) and is_ready(route.url)


def is_well(yard: Yard, route: Route) -> bool:
    """Say whether there is nothing to be done for the instance of a route: it answers, or sleeps until it is asked."""
    return answers(yard, route) or yard.target_named(route.target).is_asleep(route.instance)


def retire(yard: Yard, old: Route | None) -> None:
    """Let the requests in flight end, then stop those instances of a former route that requests no longer go to."""
    former = every_route({"": {"": old}}) if old else ()
    leaving = {route.instance: route for route in former if route.instance not in routed(yard)}
    if leaving:
        time.sleep(DRAIN_S)
    for route in leaving.values():
        yard.target_named(route.target).stop(route.instance)


def record(yard: Yard, deployment: Deployment, state: str, reason: str = "") -> None:
    """Keep what became of a deployment (`live` or `failed`), and note it in the run."""
    image = deployment.image
    document = {
        "model": image.model,
        "stage": str(deployment.stage),
        "version": str(image.version),
        "run": image.run,
        "digest": image.digest,
        "target": yard.target.name,
        "state": state,
        "reason": reason,
        "replaced": deployment.replaced,
        "parts": deployment.parts,
        "by": yard.user,
        "at": deployment.at,
    }
    yard.database[COLLECTION].insert_one(document)
    noted = {key: document[key] for key in ("version", "digest", "target", "state", "reason", "at")}
    annotate(yard.database, image.run, f"deployments.{deployment.stage}", noted)
