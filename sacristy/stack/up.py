"""`sacristy up`: start what is not running, make it ready, and say what is there. Doing it twice changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from pymongo.errors import PyMongoError

from sacristy.errors import CommandFailed, DownloadCorrupt, ProgramMissing, ServiceNotReady
from sacristy.settings import Settings
from sacristy.stack import mongodb, omniboard
from sacristy.stack.health import CHECKS
from sacristy.stack.init import init
from sacristy.stack.mongod import find_mongod
from sacristy.stack.ports import choose_port, holds
from sacristy.stack.services import (
    GATEWAY,
    MONGODB,
    OMNIBOARD,
    WATCHER,
    gateway_program,
    keeper_program,
    log_file,
    mongodb_program,
    omniboard_program,
    watcher_program,
)
from sacristy.stack.status import ServiceState, is_ours, service_states
from sacristy.supervision import Supervisor
from sacristy.tracking.database import reason
from sacristy.turns import turn

Progress = Callable[[str], None]
READY_WITHIN_S = 60.0  # a database that was killed replays its journal first
STARTS = 2  # one may fail for a port that was just taken
LAST_LINES = 15


def up(settings: Settings, progress: Progress = lambda _: None, *, with_ceph: bool = False) -> dict[str, ServiceState]:
    """Start the services and return their states, by name. Omniboard may be missing; its state says why.

    `with_ceph`: bring up a Ceph node as the store too; from then on it belongs to the stack.
    Raises PathNotWritable, ProgramMissing (mongod, Ceph), ServiceNotReady (with its log's last lines), OtherSecrets.
    """
    init(settings)
    supervisor = Supervisor(settings)
    with turn(settings.home / "run" / "up.lock", "starting the stack"):
        mongod = find_mongod(settings) if is_ours(settings, MONGODB) else None
        supervisor.start_daemon()
        if mongod:
            progress("mongodb: start")
            (settings.home / "mongodb" / "data").mkdir(mode=0o700, exist_ok=True)
            supervisor.add(mongodb_program(settings, mongod, _port(settings, supervisor, MONGODB)))
        if with_ceph or settings.has_ceph:
            from sacristy.stack.ceph import bringup as ceph  # boto3 takes 0.1 s to import

            ceph.up(settings, supervisor, progress)
        if is_ours(settings, GATEWAY):
            progress("gateway: start")
            supervisor.add(gateway_program(settings, _port(settings, supervisor, GATEWAY)))
        missing = _install_omniboard(settings, progress)
        if mongod:
            progress("mongodb: wait, then make users and indexes")
            _prepare_mongodb(settings, supervisor)
        supervisor.add(keeper_program(settings))
        _keep_watcher(settings, supervisor, progress)
        if is_ours(settings, OMNIBOARD) and not missing:
            _start_omniboard(settings, supervisor, progress)
        if is_ours(settings, GATEWAY):
            wait_ready(supervisor, settings, GATEWAY, lambda: CHECKS[GATEWAY](settings))
    states = service_states(settings)
    return states | ({OMNIBOARD: ServiceState(False, "", missing)} if missing else {})


def wait_ready(
    supervisor: Supervisor,
    settings: Settings,
    name: str,
    check: Callable[[], str],
    within_s: float = READY_WITHIN_S,
) -> None:
    """Wait until `check` has nothing to say against a service. Raises ServiceNotReady, at once if it was given up."""
    deadline = time.monotonic() + within_s
    seen: set[int] = set()
    while why := check():
        state = supervisor.state(name)
        seen.add(state.pid if state else 0)
        given_up = state is None or state.state in ("FATAL", "EXITED", "STOPPED") or len(seen - {0}) > STARTS
        if given_up or time.monotonic() > deadline:
            why = "it ends by itself" if given_up else why
            raise ServiceNotReady(service=name, reason=why, log=log_file(settings, name), cause=_tail(settings, name))
        time.sleep(0.05)


def _port(settings: Settings, supervisor: Supervisor, name: str) -> int:
    state = supervisor.state(name)
    return choose_port(settings, name, state.pid if state else 0)


def _install_omniboard(settings: Settings, progress: Progress) -> str:
    """Return why Omniboard cannot be had here, or an empty string. All else works without it."""
    if not is_ours(settings, OMNIBOARD):
        return ""
    try:
        omniboard.find_node()
        if not omniboard.is_installed(settings):
            progress("omniboard: install, about 10 s and the time for 71 MB")
        omniboard.install(settings)
    except ProgramMissing as error:
        return f"{error}: {error.advice}"
    except (CommandFailed, DownloadCorrupt) as error:
        return f"not installed: {error}"
    return ""


def _prepare_mongodb(settings: Settings, supervisor: Supervisor) -> None:
    port = settings.ports()[MONGODB]
    wait_ready(supervisor, settings, MONGODB, lambda: mongodb.answers(port) or _not_ours(supervisor, MONGODB, port))
    try:
        mongodb.prepare(settings, port)
    except PyMongoError as error:
        cause = _tail(settings, MONGODB)
        why, log = reason(error), log_file(settings, MONGODB)
        raise ServiceNotReady(service=MONGODB, reason=why, log=log, cause=cause) from None
    wait_ready(supervisor, settings, MONGODB, lambda: CHECKS[MONGODB](settings))


def _not_ours(supervisor: Supervisor, name: str, port: int) -> str:
    """Return that another program answers at a service's port, if so: our data must not be judged by what it says."""
    state = supervisor.state(name)
    return "" if state and holds(state.pid, port) else f"another program answers at port {port}"


def _start_omniboard(settings: Settings, supervisor: Supervisor, progress: Progress) -> None:
    progress("omniboard: start")
    node, folder = omniboard.find_node(), omniboard.install_folder(settings)
    supervisor.add(omniboard_program(settings, node, folder, _port(settings, supervisor, OMNIBOARD)))
    wait_ready(supervisor, settings, OMNIBOARD, lambda: CHECKS[OMNIBOARD](settings))


def _keep_watcher(settings: Settings, supervisor: Supervisor, progress: Progress) -> None:
    """Watch for tagged runs where there is a Jenkins, and only there. One that is away is waited for by the watcher."""
    if settings.has_jenkins:
        progress("watcher: start")
        supervisor.add(watcher_program(settings))
    else:
        supervisor.remove(WATCHER)


def _tail(settings: Settings, name: str) -> str:
    with suppress(OSError):
        return "\n".join(log_file(settings, name).read_text(errors="replace").splitlines()[-LAST_LINES:])
    return ""
