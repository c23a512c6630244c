"""What runs now, against what the stages say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sacristy.errors import SacristyError
from sacristy.images.registry import Registry
from sacristy.settings import Settings
from sacristy.targets.readiness import is_ready
from sacristy.targets.routes import Route, Share, read_routes
from sacristy.targets.target import Target

States = dict[str, dict[str, dict[str, Any]]]


def model_states(settings: Settings, registry: Registry, targets: Mapping[str, Target]) -> States:
    """Return states[model][stage]: what the stage points at, and what answers for it.

    `ready` says that the very image of the stage answers; `running` names another version that answers instead.
    `asleep`: nobody asked for long, and whoever asks next wakes what is `running`.
    """
    routes = read_routes(settings.routes_file)
    states: States = {}
    for model in registry.repositories():
        for stage, digest in sorted(registry.stages(model).items()):
            route = routes.get(model, {}).get(stage)
            alive = route is not None and _answers(targets, route)
            asleep = route is not None and not alive and _sleeps(targets, route)
            states.setdefault(model, {})[stage] = _facts(registry, model, digest) | {
                "digest": digest,
                "target": route.target if route else None,
                "ready": alive and route is not None and route.digest == digest,
                "asleep": asleep,
                "running": route.version if route and (alive or asleep) else None,
                "url": route.url if route else "",
                "detail": _detail(targets, route) if route else "",
                **{str(kind): _beside(targets, share) for kind, share in (route.shares.items() if route else ())},
            }
    return states


def _beside(targets: Mapping[str, Target], share: Share) -> dict[str, Any]:
    route = share.route
    return {"version": route.version, "percent": share.percent, "ready": _answers(targets, route), "url": route.url}


def _facts(registry: Registry, model: str, digest: str) -> dict[str, Any]:
    """Return version and run; of an image that cannot be read, only that there is one (the doctor says why)."""
    try:
        image = registry.image(model, digest)
        return {"version": str(image.version), "run": image.run}
    except SacristyError:
        return {"version": None, "run": None}


def _detail(targets: Mapping[str, Target], route: Route) -> str:
    """Return what the target says of an instance: of a cluster, its replicas and what hinders them."""
    target = targets.get(route.target)
    return target.detail(route.instance) if target else ""


def _answers(targets: Mapping[str, Target], route: Route) -> bool:
    """Say whether an instance runs and answers; of a target that cannot be asked (no engine) none does."""
    try:
        return targets[route.target].is_running(route.instance) and is_ready(route.url)
    except (SacristyError, KeyError):
        return False


def _sleeps(targets: Mapping[str, Target], route: Route) -> bool:
    try:
        return targets[route.target].is_asleep(route.instance)
    except (SacristyError, KeyError):
        return False
