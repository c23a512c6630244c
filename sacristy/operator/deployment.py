"""Making a stage's image run: start the new one, ask it for real, switch, drain, stop the old one.

If the new one fails, it is the one to go: its last lines are kept as the cause, and what ran before runs on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pymongo import DESCENDING
from pymongo.database import Database

from sacristy.errors import BadAnswer, DeploymentFailed, InstanceCrashed
from sacristy.faults import reach
from sacristy.images.registry import Registry
from sacristy.images.signature import verify
from sacristy.names import Stage
from sacristy.operator.strays import stop_strays
from sacristy.project import load_model
from sacristy.release.desk import Desk, open_desk
from sacristy.release.examples import read_examples
from sacristy.release.lock import release_lock
from sacristy.release.promotion import settled
from sacristy.release.questions import Questioner
from sacristy.release.verdict import now
from sacristy.serving.golden import difference
from sacristy.settings import Settings
from sacristy.targets.readiness import cause, is_ready, wait_until_ready
from sacristy.targets.routes import Route, read_routes, set_route
from sacristy.targets.target import Image, Instance, Progress, Target
from sacristy.tracking.runs import annotate, find_run
from sacristy.weights.store import Store

Document = dict[str, Any]
COLLECTION = "deployments"
DRAIN_S = 0.5  # for requests that read the old route and have not connected yet
SMOKE_TIMEOUT_S = 10.0


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
        old = _current(yard, model, stage)
        if old and old.digest == digest and old.target == yard.target.name and _answers(yard, old):
            return _unchanged(yard, Deployment(image, stage, changed=False, url=old.url))
        deployment = Deployment(image, stage, changed=True, url="", replaced=old.version if old else None)
        return _replace(yard, deployment, old, progress)


def withdraw(yard: Yard, model: str, stage: Stage) -> bool:
    """Stop what answers for a stage; say whether something did."""
    with release_lock(yard.database, f"{model}:{stage}", "withdrawal", yard.user):
        old = _current(yard, model, stage)
        set_route(yard.settings.routes_file, model, stage, None)
        _retire(yard, old)
    return old is not None


def _replace(yard: Yard, deployment: Deployment, old: Route | None, progress: Progress) -> Deployment:
    image, stage = deployment.image, deployment.stage
    verify(yard.registry, image.model, image.digest, yard.desk.keys)
    reach("deploy", "verified")
    clock = _Clock(deployment.parts)
    progress(f"start {image}")
    instance = yard.target.start(image, stage)
    clock.lap("started")
    try:
        progress(f"wait for {image}")
        wait_until_ready(yard.target, instance, load_model(yard.settings.project, image.model).file.gates.ready_s)
        clock.lap("ready")
        _smoke(yard, instance)
        clock.lap("asked")
        progress(f"switch to {image}")
        set_route(yard.settings.routes_file, image.model, stage, _route(instance))
    except (InstanceCrashed, BadAnswer) as error:
        raise _failed(yard, deployment, instance, old, error) from None
    except BaseException:
        yard.target.stop(instance.name)
        raise
    deployment.url = instance.url
    clock.lap("switched")
    _retire(yard, old)
    clock.lap("drained")
    _record(yard, deployment, "live")
    reach("deploy", "recorded")
    return deployment


def _unchanged(yard: Yard, deployment: Deployment) -> Deployment:
    """Record a deployment whose operator was killed before it could; mostly there is nothing to do."""
    image, stage = deployment.image, deployment.stage
    newest = {"model": image.model, "stage": str(stage)}
    last = yard.database[COLLECTION].find_one(newest, sort=[("at", DESCENDING)])
    if last is None or (last["digest"], last["state"]) != (image.digest, "live"):
        _record(yard, deployment, "live")
    return deployment


class _Clock:
    def __init__(self, parts: dict[str, float], tick: Callable[[], float] = time.monotonic) -> None:
        self.parts, self.tick, self.last = parts, tick, tick()

    def lap(self, name: str) -> None:
        """Note the seconds since the last lap under a name, which is a fault point too."""
        this = self.tick()
        self.parts[name] = this - self.last
        self.last = this
        reach("deploy", name)


def _current(yard: Yard, model: str, stage: Stage) -> Route | None:
    return read_routes(yard.settings.routes_file).get(model, {}).get(stage)


def _answers(yard: Yard, route: Route) -> bool:
    return yard.target_named(route.target).is_running(route.instance) and is_ready(route.url)


def _smoke(yard: Yard, instance: Instance) -> None:
    image = instance.image
    examples = read_examples(find_run(yard.database, image.run), yard.store).golden
    tolerance = load_model(yard.settings.project, image.model).file.gates.golden_tolerance
    with Questioner(instance.url, SMOKE_TIMEOUT_S) as ask:
        for question, wanted in examples:
            fault = difference(wanted, ask.predict([question])[0], tolerance)
            if fault:
                raise BadAnswer(reason=f"it is ready but wrong: {fault}")


def _failed(
    yard: Yard, deployment: Deployment, instance: Instance, old: Route | None, error: InstanceCrashed | BadAnswer
) -> DeploymentFailed:
    last = cause(yard.target, instance)
    yard.target.stop(instance.name)
    _record(yard, deployment, "failed", str(error))
    image, stage = deployment.image, deployment.stage
    kept = f"{image.model}:{old.version} still answers" if old else "nothing answers for that stage"
    return DeploymentFailed(image=image, model=image.model, stage=stage, reason=error, kept=kept, cause=last)


def _route(instance: Instance) -> Route:
    image = instance.image
    return Route(instance.url, str(image.version), image.digest, image.run, instance.target, instance.name)


def _retire(yard: Yard, old: Route | None) -> None:
    if old:
        time.sleep(DRAIN_S)
        yard.target_named(old.target).stop(old.instance)


def _record(yard: Yard, deployment: Deployment, state: str, reason: str = "") -> None:
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
