"""Instances that nobody is sent to: what killed commands left behind."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from sacristy.errors import ReleaseLocked
from sacristy.names import Stage
from sacristy.release.lock import release_lock
from sacristy.targets.naming import belongs, starter_lives
from sacristy.targets.routes import every_route, read_routes

if TYPE_CHECKING:
    from sacristy.operator.deployment import Yard


def stop_strays(yard: Yard, model: str, stage: Stage) -> list[str]:
    """Stop the instances of a stage that no route names, and return their names.

    The caller holds the lock of the stage's deployments, so none of them is being brought up.
    """
    wanted = routed(yard)
    strays = [name for name in yard.target.instances() if belongs(name) == (model, stage) and name not in wanted]
    for name in strays:
        yard.target.stop(name)
    return strays


def remove_strays(yard: Yard) -> list[str]:
    """Stop every instance that no route names, and return their names; a stage that is being deployed is left alone."""
    wanted = routed(yard)
    strays = [name for name in yard.target.instances() if name not in wanted]
    stopped: list[str] = []
    for model, purpose in sorted({belongs(name) for name in strays}):
        if purpose in list(Stage):
            with suppress(ReleaseLocked), release_lock(yard.database, f"{model}:{purpose}", "clearing", yard.user):
                stopped += stop_strays(yard, model, Stage(purpose))
    for name in strays:
        if belongs(name)[1] not in list(Stage) and not starter_lives(name):  # else it is on trial right now
            yard.target.stop(name)
            stopped.append(name)
    return stopped


def routed(yard: Yard) -> set[str]:
    """Return the instances that requests are sent to."""
    return {route.instance for route in every_route(read_routes(yard.settings.routes_file))}
