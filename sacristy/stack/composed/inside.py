"""`python -m sacristy.stack.composed.inside`, in the operator's container: what only somebody in the networks can see.

Prints findings as JSON: the replica set, the store, the registry, stages that are not what the records say, and
containers of models that nobody is sent to.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime

from pymongo.errors import PyMongoError

from sacristy.commands import run
from sacristy.errors import SacristyError
from sacristy.images.registry import Access, Registry, open_registry
from sacristy.release.desk import open_desk
from sacristy.release.drift import stage_faults
from sacristy.settings import REPLICA_SET, Role, Settings, load
from sacristy.stack.findings import ERROR, STRAY_AFTER_S, WARNING, Finding, late_backups
from sacristy.targets.containers import inspect_command
from sacristy.targets.docker import DockerTarget
from sacristy.targets.routes import every_route, read_routes
from sacristy.tracking.database import connect, reason
from sacristy.weights.store import open_store

ALERTS, ALERTS_WITHIN_S = "http://prometheus:9090/api/v1/alerts", 3.0
NO_BLOB = "sha256:" + "0" * 64


def main() -> None:
    """Print the findings of every check."""
    settings = load()
    user, password = settings.registry_login
    registry = open_registry(settings.registry_location, Access(user, password, settings.registry_ca))
    found = [finding for check in CHECKS for finding in check(settings, registry)]
    json.dump([asdict(finding) for finding in found], sys.stdout)


def check_replica_set(settings: Settings, _registry: Registry) -> Iterator[Finding]:
    """No primary, or another replica set than ours."""
    try:
        database = connect(settings, Role.SERVICE)
        with database.client:
            hello = database.client.admin.command("hello")
    except (SacristyError, PyMongoError) as error:
        yield Finding(ERROR, f"mongodb: {reason(error)}", "docker logs of mongodb; then: sacristy up --compose")
        return
    if hello.get("setName") != REPLICA_SET or not hello.get("isWritablePrimary"):
        yield Finding(ERROR, "mongodb's replica set has no primary", "sacristy up --compose makes it again")


def check_store(settings: Settings, _registry: Registry) -> Iterator[Finding]:
    """A store that cannot be asked as the operator asks it."""
    try:
        open_store(settings.weights_location, settings, "serving").has(NO_BLOB)
    except SacristyError as error:
        yield Finding(ERROR, f"the store: {error}", "docker logs of store; then: sacristy up --compose")


def check_registry(_settings: Settings, registry: Registry) -> Iterator[Finding]:
    """A registry that does not answer."""
    try:
        registry.repositories()
    except SacristyError as error:
        yield Finding(ERROR, f"the registry: {error}", "docker logs of registry; then: sacristy up --compose")


def check_stages(settings: Settings, registry: Registry) -> Iterator[Finding]:
    """Stages that were moved by hand, or point at what is not there."""
    try:
        database = connect(settings, Role.SERVICE)
        with database.client:
            for what, mend in stage_faults(open_desk(settings, database, registry)):
                yield Finding(ERROR, what, mend)
    except (SacristyError, PyMongoError):
        return  # the other checks say which service is away


def check_orphans(settings: Settings, registry: Registry) -> Iterator[Finding]:
    """Models' containers that no stage is served by; one that is being tried has no route yet."""
    routed = {route.instance for route in every_route(read_routes(settings.routes_file))}
    try:
        unrouted = [name for name in DockerTarget(settings, registry).instances() if name not in routed]
        strays = [name for name in unrouted if time.time() - _made(name) > STRAY_AFTER_S]
    except SacristyError as error:
        yield Finding(ERROR, f"the engine: {error}", "docker logs of engine; then: sacristy up --compose")
        return
    for name in strays:
        yield Finding(WARNING, f"the container {name} runs, but no stage is served by it", f"docker rm --force {name}")


def _made(name: str) -> float:
    """Return when a container was made, in seconds since 1970; one that is gone meanwhile was just now."""
    try:
        found = json.loads(run(inspect_command(name)))[0]
    except SacristyError as error:
        if "no such container" in str(error).lower():
            return time.time()
        raise
    return datetime.fromisoformat(found["Created"]).timestamp()


def check_backups(settings: Settings, _registry: Registry) -> Iterator[Finding]:
    """Backups that stopped, or never began."""
    yield from late_backups(settings)


def check_alerts(_settings: Settings, _registry: Registry) -> Iterator[Finding]:
    """What Prometheus is alarmed about, where it runs."""
    try:
        with urllib.request.urlopen(ALERTS, timeout=ALERTS_WITHIN_S) as answer:
            found = json.load(answer)["data"]["alerts"]
    except (OSError, ValueError, KeyError):
        return  # no such profile; one that was started and is away is a service that is not ready
    for alert in found:
        if alert["state"] == "firing":
            notes = alert["annotations"]
            yield Finding(WARNING, f"{alert['labels']['alertname']}: {notes['summary']}", notes["mend"])


CHECKS: tuple[Callable[[Settings, Registry], Iterator[Finding]], ...] = (
    check_replica_set,
    check_store,
    check_registry,
    check_stages,
    check_orphans,
    check_backups,
    check_alerts,
)

if __name__ == "__main__":
    main()
