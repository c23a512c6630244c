"""`sacristy doctor --compose`: what can be wrong with a composed stack, and what mends it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil

from sacristy.commands import run
from sacristy.engine import PROGRAM
from sacristy.errors import CommandFailed, ProgramMissing, SacristyError
from sacristy.settings import Settings
from sacristy.stack.composed import running
from sacristy.stack.composed.certificates import RENEW_BEFORE_DAYS, days_left, is_early
from sacristy.stack.composed.copies import stale_copies
from sacristy.stack.composed.init import TLS_SERVICES, secret_files, secret_mode_of
from sacristy.stack.composed.place import Place, place_of
from sacristy.stack.findings import DISK_ERROR_BYTES, DISK_WARNING_BYTES, ERROR, GIB, WARNING, Finding
from sacristy.stack.status import ServiceState

CERTIFICATES = ("ca", "front", *TLS_SERVICES)
INSIDE = ("python", "-m", "sacristy.stack.composed.inside")
ASK_WITHIN_S = 60.0
INIT = "sacristy init --compose --name NAME"


def doctor(settings: Settings) -> list[Finding]:
    """Return every fault, errors first. Without .env there is one finding only."""
    place = place_of(settings)
    if not place.env.is_file():
        return [Finding(ERROR, f"{place.env} is missing: the composed stack was not initialised here", INIT)]
    found = [*check_secrets(place), *check_copies(place), *check_certificates(place), *check_engine(place)]
    return sorted(found, key=lambda finding: finding.level != ERROR)


def check_secrets(place: Place) -> Iterator[Finding]:
    """Secrets that are missing, or that others can read."""
    from sacristy.stack.ceph.provision import read_plan  # boto3 takes 0.1 s to import

    keys = [f"ceph-{user}" for user in read_plan(place.folder.parent / "ceph" / "store.toml").users]
    for name in (*secret_files(place, place.values().get("SACRISTY_NAME", "")), *keys):
        path = place.secrets / name
        if path.is_dir():  # an engine that was told to mount what was not there made it
            yield Finding(ERROR, f"the secret {path} is a folder", f"sacristy down --compose; rmdir {path}; {INIT}")
        elif not path.is_file():
            yield Finding(ERROR, f"the secret {path} is missing", f"put it back; or, for a new stack, {INIT}")
        elif path.stat().st_mode & 0o077 & ~secret_mode_of(name):
            yield Finding(ERROR, f"other users can read {path}", f"chmod {secret_mode_of(name):o} {path}")


def check_copies(place: Place) -> Iterator[Finding]:
    """Files that still say what a secret, or .env, was before: services refuse whoever has the new one."""
    for path, source in stale_copies(place):
        ours = place.secrets in path.parents
        then = "sacristy up --compose --renew" if ours else "hand it out"
        what = f"{path} is not what {source} says now"
        yield Finding(ERROR if ours else WARNING, what, f"rm {path}; {INIT}; {then}")


def check_certificates(place: Place) -> Iterator[Finding]:
    """Certificates near or after their end, or that cannot be read."""
    for name in CERTIFICATES:
        path = place.secrets / f"{name}.pem"
        try:
            days = days_left(path)
        except FileNotFoundError:
            continue  # a missing secret
        except (OSError, ValueError) as error:
            yield Finding(ERROR, f"{path} is no certificate that can be read: {error}", f"rm {path}; {INIT}")
            continue
        gone = f"{path} {place.secrets / 'authority.pem'}" if name == "ca" else path
        mend = f"rm {gone}; {INIT}; sacristy up --compose --renew"
        if is_early(path):
            yield Finding(ERROR, f"this host's clock is behind: {path} is not valid yet", "set the clock (NTP)")
        if days < 0:
            yield Finding(ERROR, f"the certificate {path} has ended", mend)
        elif days < RENEW_BEFORE_DAYS:
            yield Finding(WARNING, f"the certificate {path} ends in {days} days", mend)


def check_engine(place: Place) -> Iterator[Finding]:
    """No engine, no room on its disk, services that are of no use, and what is wrong inside."""
    try:
        root = run([PROGRAM, "info", "--format", "{{.DockerRootDir}}"], timeout_s=ASK_WITHIN_S).strip()
        states = running.states(place)
    except (CommandFailed, ProgramMissing) as error:
        yield Finding(ERROR, f"the Docker engine does not answer: {error}", "start it, and join its group: docker info")
        return
    yield from check_disk(root)
    yield from check_group(place)
    if not states:
        yield Finding(ERROR, "the composed stack is not running", "sacristy up --compose")
        yield from check_port(place)
        return
    yield from check_services(states)
    yield from check_profiles(place, states)
    if states.get("operator", ServiceState(False, "")).ready:
        yield from look_inside(place)


def check_disk(root: str) -> Iterator[Finding]:
    """Too little room for images and volumes."""
    if not Path(root).is_dir():  # an engine on another machine
        return
    free = psutil.disk_usage(root).free
    if free < DISK_WARNING_BYTES:
        level = ERROR if free < DISK_ERROR_BYTES else WARNING
        yield Finding(
            level, f"{free / GIB:.1f} GiB are left on the disk of {root}", "docker system df; free some space"
        )


def check_group(place: Place) -> Iterator[Finding]:
    """The engine's socket belongs to another group than .env says, so that no model can be started."""
    values = place.values()
    try:
        group = os.stat(values.get("SACRISTY_DOCKER_SOCKET", "")).st_gid
    except OSError:
        return  # an engine elsewhere
    if str(group) != values.get("SACRISTY_DOCKER_GID"):
        what = f"the engine's socket belongs to group {group}, which the guard of the engine is not in"
        yield Finding(ERROR, what, f"SACRISTY_DOCKER_GID={group} in {place.env}; sacristy up --compose")


def check_port(place: Place) -> Iterator[Finding]:
    """The one port that is published, taken by another program while the stack is down."""
    values = place.values()
    address, port = values.get("SACRISTY_ADDRESS", ""), int(values.get("SACRISTY_PORT", "443"))
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except PermissionError:  # the engine may; whether another does already is heard
            if _is_answered("" if address == "0.0.0.0" else address, port):  # noqa: S104 - compared, not bound
                yield Finding(
                    ERROR, f"port {port} cannot be had: another program has it", f"SACRISTY_PORT in {place.env}"
                )
        except OSError as error:
            yield Finding(ERROR, f"port {port} cannot be had: {error.strerror}", f"SACRISTY_PORT in {place.env}")


def _is_answered(address: str, port: int) -> bool:
    with socket.socket() as caller:
        caller.settimeout(2)
        return caller.connect_ex((address or "127.0.0.1", port)) == 0


def check_services(states: dict[str, ServiceState]) -> Iterator[Finding]:
    """Services that are not ready."""
    for name, state in states.items():
        if not state.ready:
            yield Finding(ERROR, f"{name} is not ready: {state.detail}", "sacristy up --compose")


def check_profiles(place: Place, states: dict[str, ServiceState]) -> Iterator[Finding]:
    """Services of a profile that .env names, of which there is no container."""
    chosen = running.profiles_of(place, ())
    for name in sorted(running.services_of(place, chosen).keys() - states.keys()):
        yield Finding(ERROR, f"{name} was never started, though .env names its profile", "sacristy up --compose")


def look_inside(place: Place) -> Iterator[Finding]:
    """Ask in the operator's container, which is in the networks."""
    identity = running.container_name(place, "operator")
    try:
        answer = run([PROGRAM, "container", "exec", identity, *INSIDE], timeout_s=ASK_WITHIN_S)
        yield from (Finding(**finding) for finding in json.loads(answer))
    except (SacristyError, ValueError) as error:
        yield Finding(ERROR, f"cannot look inside: {error}", "sacristy up --compose")
