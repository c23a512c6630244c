"""`sacristy status`: whether each service is of use right now. Asks the services, not only their supervisor."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sacristy.errors import ProgramMissing
from sacristy.settings import DATABASE, Settings
from sacristy.stack import omniboard
from sacristy.stack.health import CHECKS
from sacristy.stack.services import CEPH, GATEWAY, MONGODB, OMNIBOARD, WATCHER, service_names
from sacristy.supervision import ProgramState, Supervisor

NOT_STARTED = "not started: sacristy up"


@dataclass(frozen=True)
class ServiceState:
    """`detail`: why it is not ready, else empty. `url` never holds a password."""

    ready: bool
    url: str
    detail: str = ""


def service_states(settings: Settings) -> dict[str, ServiceState]:
    """Return each service's state by name, within seconds even where all hang."""
    programs = Supervisor(settings).states()
    names = service_names(settings)
    with ThreadPoolExecutor(len(names)) as pool:
        states = pool.map(lambda name: service_state(settings, name, programs.get(name)), names)
        return dict(zip(names, states, strict=True))


def service_state(settings: Settings, name: str, program: ProgramState | None) -> ServiceState:
    """Return one service's state. `program`: what its supervisor says, None if it does not know it."""
    if not is_ours(settings, name):
        reason = CHECKS[name](settings)
        return ServiceState(not reason, service_address(settings, name), reason)
    if program is None:
        return ServiceState(False, "", absence(settings, name))
    reason = CHECKS[name](settings)
    if not program.running and (reason or name == WATCHER):  # its check asks Jenkins, which answers without it
        reason = f"{program.state}: {program.detail}"
    return ServiceState(not reason, service_address(settings, name), reason)


def is_ours(settings: Settings, name: str) -> bool:
    """Say whether the embedded stack runs this service; a site's own, named in the settings, is only looked at."""
    return not {
        MONGODB: settings.mongodb_url,
        OMNIBOARD: settings.omniboard_url,
        GATEWAY: settings.gateway_url,
        CEPH: "",
        WATCHER: "",
    }[name]


def service_address(settings: Settings, name: str) -> str:
    """Return where a service is, without a password; empty before the first `sacristy up`."""
    if name == CEPH:
        return settings.s3_endpoint
    if name == WATCHER:
        return settings.jenkins_url
    if name != MONGODB:
        return settings.service_url(name)
    if settings.mongodb_url:
        return "mongodb://" + settings.mongodb_url.get_secret_value().rpartition("@")[2].removeprefix("mongodb://")
    port = settings.port(MONGODB)
    return f"mongodb://127.0.0.1:{port}/{DATABASE}" if port else ""


def absence(settings: Settings, name: str) -> str:
    """Return why a service that no supervisor knows is not there."""
    if name == OMNIBOARD:
        try:
            omniboard.find_node()
        except ProgramMissing as error:
            return f"{error}: {error.advice}"
    return NOT_STARTED
