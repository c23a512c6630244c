"""What runs now, against what the stages say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sacristy.errors import SacristyError
from sacristy.images.registry import Registry
from sacristy.settings import Settings
from sacristy.targets.readiness import is_ready
from sacristy.targets.routes import Route, read_routes
from sacristy.targets.target import Target

States = dict[str, dict[str, dict[str, Any]]]


def model_states(settings: Settings, registry: Registry, targets: Mapping[str, Target]) -> States:
    """Return states[model][stage]: what the stage points at, and what answers for it.

    `ready` says that the very image of the stage answers; `running` names another version that answers instead.
    """
    routes = read_routes(settings.routes_file)
    states: States = {}
    for model in registry.repositories():
        for stage, digest in sorted(registry.stages(model).items()):
            image = registry.image(model, digest)
            route = routes.get(model, {}).get(stage)
            alive = route is not None and _answers(targets, route)
            states.setdefault(model, {})[stage] = {
                "version": str(image.version),
                "digest": digest,
                "run": image.run,
                "target": route.target if route else None,
                "ready": alive and route is not None and route.digest == digest,
                "running": route.version if route and alive else None,
                "url": route.url if route else "",
            }
    return states


def _answers(targets: Mapping[str, Target], route: Route) -> bool:
    """Say whether an instance runs and answers; of a target that cannot be asked (no engine) none does."""
    try:
        return targets[route.target].is_running(route.instance) and is_ready(route.url)
    except (SacristyError, KeyError):
        return False
