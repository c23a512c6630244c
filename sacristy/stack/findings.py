"""What can be wrong with a home folder and what it runs; each check yields a finding for each fault it sees."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from sacristy.errors import SacristyError
from sacristy.settings import Role, Settings
from sacristy.stack.backup_log import late
from sacristy.stack.init import FOLDERS, secret_makers, secret_mode
from sacristy.stack.ports import is_free
from sacristy.stack.services import MONGODB, OMNIBOARD, WATCHER, log_file
from sacristy.stack.status import is_ours, service_states
from sacristy.supervision import Supervisor
from sacristy.targets.naming import is_instance
from sacristy.targets.routes import every_route, read_routes
from sacristy.tracking.database import connect, reason
from sacristy.tracking.journal import is_training

ERROR, WARNING = "error", "warning"
GIB = 1024**3
DISK_ERROR_BYTES, DISK_WARNING_BYTES = GIB // 2, 4 * GIB
CLOCK_TOLERANCE_S = 5.0
STRAY_AFTER_S = 300.0  # an instance that is being tried has no route yet
WRITE_TIMEOUT_MS = 5000


@dataclass(frozen=True)
class Finding:
    """A fault: `level` is error (something does not work) or warning; `mend` is what to do about it."""

    level: str
    what: str
    mend: str


Check = Callable[[Settings], Iterator[Finding]]


def check_disk(settings: Settings) -> Iterator[Finding]:
    """Too little room for runs, weights and images."""
    free = psutil.disk_usage(str(settings.home)).free
    if free < DISK_WARNING_BYTES:
        level = ERROR if free < DISK_ERROR_BYTES else WARNING
        yield Finding(level, f"{free / GIB:.1f} GiB are left on the disk of {settings.home}", "free some disk space")


def check_folders(settings: Settings) -> Iterator[Finding]:
    """Folders that are missing, that cannot be written, or that others can read."""
    for folder in (settings.home, *(settings.home / name for name in FOLDERS)):
        if not folder.is_dir():
            yield Finding(ERROR, f"{folder} is missing", "sacristy init")
        elif why := _unwritable(folder):
            yield Finding(ERROR, f"cannot write to {folder}: {why}", "give this user the right to write there")
        elif folder.stat().st_mode & 0o077:
            yield Finding(WARNING, f"other users can look into {folder}", f"chmod 700 {folder}")


def check_secrets(settings: Settings) -> Iterator[Finding]:
    """Secrets that are missing or that others can read."""
    for name in secret_makers():
        path = settings.home / "secrets" / name
        if not path.is_file():
            yield Finding(ERROR, f"the secret {path} is missing", "put it back; or, for a new stack, sacristy init")
        elif path.stat().st_mode & 0o077:
            yield Finding(ERROR, f"other users can read {path}", f"chmod {secret_mode(name):o} {path}")


def check_programs(settings: Settings) -> Iterator[Finding]:
    """No supervisor, programs that were given up, and instances that nobody is sent to."""
    supervisor = Supervisor(settings)
    if not supervisor.running():
        yield Finding(ERROR, "the stack is not running", "sacristy up")
        return
    routed = {route.instance for route in every_route(read_routes(settings.routes_file))}
    for name, state in supervisor.states().items():
        if state.state in ("FATAL", "BACKOFF"):
            what = f"{name} ends again and again ({state.detail})"
            yield Finding(ERROR, what, f"look into {log_file(settings, name)}, then: sacristy up")
        elif is_instance(name) and name not in routed and time.time() - state.started > STRAY_AFTER_S:
            yield Finding(WARNING, f"the instance {name} runs, but no stage is served by it", "sacristy up")


def check_services(settings: Settings) -> Iterator[Finding]:
    """Services that are of no use, and who sits on their ports. A stack that is down is another finding."""
    programs = Supervisor(settings).states()
    if not programs:
        return
    for name, state in service_states(settings).items():
        if state.ready:
            continue
        level = WARNING if name in (OMNIBOARD, WATCHER) else ERROR
        yield Finding(
            level, f"{name} is not ready: {state.detail}", f"sacristy up; its log: {log_file(settings, name)}"
        )
        port = settings.port(name)
        if is_ours(settings, name) and port and name not in programs and not is_free(port):
            yield Finding(WARNING, f"another program has taken {name}'s port {port}", "sacristy up chooses another")


def check_mongodb(settings: Settings) -> Iterator[Finding]:
    """A majority of the replica set does not acknowledge writes, or its clock is another."""
    program = Supervisor(settings).state(MONGODB)
    if not is_ours(settings, MONGODB) or program is None or not program.running:
        return
    try:
        with MongoClient[dict[str, Any]](settings.database_url(Role.ADMIN, WRITE_TIMEOUT_MS)) as client:
            concern = {"w": "majority", "j": True, "wtimeout": WRITE_TIMEOUT_MS}
            note = {"appendOplogNote": 1, "data": {"sacristy": "doctor"}, "writeConcern": concern}
            answer = client.admin.command(note)
            theirs = client.admin.command("hello")["localTime"].replace(tzinfo=UTC)
            drift = abs((theirs - datetime.now(UTC)).total_seconds())
    except PyMongoError as error:
        yield Finding(ERROR, f"mongodb takes no write: {reason(error)}", f"look into {log_file(settings, MONGODB)}")
        return
    if "writeConcernError" in answer:
        yield Finding(ERROR, "mongodb did not acknowledge a majority write in time", "look at its disk")
    if drift > CLOCK_TOLERANCE_S:
        yield Finding(WARNING, f"mongodb's clock is {drift:.0f} s away from this one", "set the clocks (NTP)")


def check_backups(settings: Settings) -> Iterator[Finding]:
    """Backups that stopped, or never began."""
    program = Supervisor(settings).state(MONGODB)
    if is_ours(settings, MONGODB) and (program is None or not program.running):
        return
    yield from late_backups(settings)


def late_backups(settings: Settings) -> Iterator[Finding]:
    """Say that the last backup was long ago; a database that is away is another finding."""
    try:
        database = connect(settings, Role.SERVICE, WRITE_TIMEOUT_MS)
        with database.client:
            what = late(database)
    except (SacristyError, PyMongoError):
        return
    if what:
        yield Finding(WARNING, what, "sacristy backup PLACE; if a timer does: journalctl -u sacristy-backup")


def check_jenkins(settings: Settings) -> Iterator[Finding]:
    """A Jenkins that is set in half: nothing watches for tagged runs then."""
    if settings.jenkins_url and not settings.jenkins_user:
        what = "jenkins_url is set, but jenkins_user is not: runs that are tagged `release` are not released"
        yield Finding(WARNING, what, "set jenkins_user (SACRISTY_JENKINS_USER), then: sacristy up")


def check_journals(settings: Settings) -> Iterator[Finding]:
    """Runs that ended with events which never reached the database."""
    waiting = [folder.name for folder in settings.journals.glob("*/") if not is_training(folder)]
    if waiting:
        names = ", ".join(sorted(waiting)[:3]) + (", ..." if len(waiting) > 3 else "")
        yield Finding(WARNING, f"{len(waiting)} runs have events that are not in MongoDB ({names})", "sacristy resync")


CHECKS: tuple[Check, ...] = (
    check_disk,
    check_folders,
    check_secrets,
    check_programs,
    check_services,
    check_mongodb,
    check_backups,
    check_jenkins,
    check_journals,
)


def _unwritable(folder: Path) -> str:
    probe = folder / f".doctor-{time.monotonic_ns()}"
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""
