"""Putting back what was changed or deleted by hand, in the place of what serves a stage, whose version stays."""

from __future__ import annotations

from sacristy.images.signature import verify
from sacristy.names import Stage
from sacristy.operator import calls
from sacristy.operator.bringup import route_to
from sacristy.operator.deployment import Deployment, Yard, current, deploy, record
from sacristy.release.lock import release_lock
from sacristy.release.promotion import settled
from sacristy.targets.routes import set_route
from sacristy.targets.target import Instance, Progress


def repair(yard: Yard, model: str, stage: Stage, why: str, progress: Progress = lambda _: None) -> Deployment:
    """Make what serves a stage be again what it was deployed as. `why`: what was found.

    Where an instance stands alone, there is nothing to put back, and the stage is deployed anew.
    Raises what deploy raises.
    """
    if not yard.target.keeps_stages:
        return deploy(yard, model, stage, progress)
    with release_lock(yard.database, f"{model}:{stage}", "repair", yard.user):
        digest = settled(yard.desk, model, stage)
        image = yard.registry.image(model, digest)
        route = current(yard, model, stage)
        if route is not None and route.digest == digest:
            verify(yard.registry, model, digest, yard.desk.keys)
            progress(f"repair {model}:{stage}: {why}")
            placed = yard.target.settle(Instance(route.instance, image, route.url, route.target))
            set_route(yard.settings.routes_file, model, stage, route_to(placed))
            if placed.idle_s and not yard.target.is_asleep(placed.name):
                calls.awake(yard.database, (model, stage))
            made = Deployment(image, stage, changed=True, url=placed.url)
            record(yard, made, "live", f"repaired: {why}")
            return made
    return deploy(yard, model, stage, progress)
