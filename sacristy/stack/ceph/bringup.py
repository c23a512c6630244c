"""From nothing to an answering gateway. Each step looks before it acts, so `sacristy up` mends what a crash left."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sacristy.commands import run
from sacristy.errors import CommandFailed, PathNotWritable, ProgramMissing, ServiceNotReady
from sacristy.s3 import StoreKeys
from sacristy.settings import Settings
from sacristy.stack.ceph import cluster as plan
from sacristy.stack.ceph.cluster import MON, OSD, Cluster
from sacristy.stack.ceph.provision import OPS, WEIGHTS, StorePlan, User, provision, read_plan
from sacristy.stack.ceph.s3 import answers
from sacristy.stack.init import make_secret
from sacristy.stack.ports import choose_port, holds, is_free
from sacristy.stack.services import CEPH, log_file
from sacristy.supervision import Supervisor
from sacristy.supervision.program import write_private
from sacristy.weights.atomic import writing
from sacristy.weights.folder import FolderStore
from sacristy.weights.mirror import mirror
from sacristy.weights.store import open_store

PACKAGES = "ceph-mon ceph-osd radosgw openssl"
MEND = (
    f"install Ceph 16 or later (Debian, Ubuntu: apt-get install --no-install-recommends {PACKAGES}), then: sacristy up"
)
NEEDED = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph-authtool", "monmaptool", "ceph", "openssl")
RENEW_BEFORE_S = 30 * 24 * 3600
READY_WITHIN_S = 90.0
ANSWER_WITHIN_S = 10
LAST_LINES = 15
FOLDERS = ("mon", "osd", "gateway", "run", "log", "crash", "keys")
ADMIN_CAPS = "users=*;buckets=*;usage=read;metadata=read"

Progress = Callable[[str], None]
Step = tuple[str, Callable[[], None], Callable[[], str]]  # a daemon, what makes it, what says why it is not ready


def up(
    settings: Settings, supervisor: Supervisor, progress: Progress, extra: str = "", *, given: bool = False
) -> Cluster:
    """Start the cluster, wait until it takes objects, and make its users and buckets.

    `given`: its certificate is made and renewed by another, and is here to be read only.
    Raises ProgramMissing, PathNotWritable, CommandFailed or ServiceNotReady.
    """
    find_programs()
    cluster = describe(settings, supervisor, extra)
    _prepare(cluster, settings, given=given)
    daemons = plan.programs(cluster, settings)
    steps: tuple[Step, ...] = (
        (MON, lambda: _make_monitor(cluster), lambda: _mon_answers(cluster)),
        (OSD, lambda: _make_osd(cluster), lambda: _osd_active(cluster)),
        (CEPH, lambda: None, lambda: answers(cluster.endpoint, cluster.secrets / plan.CERTIFICATE)),
    )
    for name, make, check in steps:
        progress(f"{name}: start")
        make()
        supervisor.add(daemons[name])
        _wait(supervisor, settings, name, check)
    progress("ceph: users, buckets, rights")
    store_plan = read_plan(settings.project / "ceph" / "store.toml")
    _make_owner(cluster, store_plan)
    make_keys(settings, store_plan)
    provision(settings, store_plan, cluster.endpoint, cluster.secrets / plan.CERTIFICATE, cluster.quota_bytes)
    ready = cluster.folder / "ready"
    if not ready.is_file():
        _take_over(settings, progress)
        ready.touch()
    return cluster


def find_programs() -> None:
    """Raise ProgramMissing unless all of Ceph's programs are here."""
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        raise ProgramMissing(program=", ".join(missing), mend=MEND)


def describe(settings: Settings, supervisor: Supervisor, extra: str = "") -> Cluster:
    """Return the cluster of a home folder; its ports and its size stay what they were at first."""
    folder = settings.home / "ceph"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fixed = folder / "cluster.json"
        if not fixed.is_file():
            facts = {"fsid": str(uuid.uuid4()), "size_gib": settings.ceph_size_gib, "osd": str(uuid.uuid4())}
            write_private(fixed, json.dumps(facts) + "\n")
        facts = json.loads(fixed.read_text())
    except OSError as error:
        raise PathNotWritable(path=error.filename or folder, reason=error.strerror) from None
    gateway, mon = supervisor.state(CEPH), supervisor.state(MON)
    return Cluster(
        folder,
        settings.project / "ceph" / "ceph.conf",
        settings.home / "secrets",
        facts["fsid"],
        choose_port(settings, CEPH, gateway.pid if gateway else 0),
        _mon_port(settings, mon.pid if mon else 0),
        facts["size_gib"],
        extra,
    )


def _take_over(settings: Settings, progress: Progress) -> None:
    """Copy the weights of earlier runs out of their folder, which stays as it is."""
    folder = FolderStore(settings.home / "weights")
    if any(folder.list()):
        progress("ceph: copy the weights that were kept in a folder")
        mirror(folder, open_store(f"s3://{WEIGHTS}", settings, OPS))


def make_keys(settings: Settings, store_plan: StorePlan) -> None:
    """Make the secret of every user that has none: `access:secret` in secrets/ceph-<user>. Raises PathNotWritable."""
    folder = settings.home / "secrets"
    with writing(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in store_plan.users:
            make_secret(folder / f"ceph-{name}", _new_keys)


def _new_keys() -> str:
    return f"{secrets.token_hex(10).upper()}:{secrets.token_urlsafe(30)}"


def _mon_port(settings: Settings, pid: int) -> int:
    """Return the monitor's port, which its own map holds: it cannot be changed as others are."""
    known = settings.port(MON)
    if known is None:
        return choose_port(settings, MON)
    if not (is_free(known) or (pid and holds(pid, known))):
        why = f"another program has taken its port {known}"
        raise ServiceNotReady(service=MON, reason=why, log=log_file(settings, MON), cause="")
    return known


def _prepare(cluster: Cluster, settings: Settings, *, given: bool) -> None:
    for folder in (*(cluster.folder / name for name in FOLDERS), cluster.run):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(cluster.file, plan.configuration(cluster))
    certificate, key = cluster.secrets / plan.CERTIFICATE, cluster.secrets / plan.KEY
    if not given and not (_is_valid(certificate) and key.is_file()):
        run(plan.certificate_command(certificate, key), timeout_s=60)
        key.chmod(0o600)
        Supervisor(settings).remove(CEPH)  # it reads its certificate when it starts


def _is_valid(certificate: Path) -> bool:
    try:
        run(["openssl", "x509", "-checkend", str(RENEW_BEFORE_S), "-noout", "-in", str(certificate)], timeout_s=30)
    except CommandFailed:
        return False
    return True


def _make_monitor(cluster: Cluster) -> None:
    for file, command in plan.keyring_commands(cluster).items():
        if not file.is_file():
            _run(cluster, command)
    ready = cluster.folder / "mon" / "ready"
    if ready.is_file():
        return
    shutil.rmtree(cluster.folder / "mon")
    (cluster.folder / "mon").mkdir(mode=0o700)
    boot, monmap = cluster.folder / "keys" / "boot.keyring", cluster.folder / "keys" / "monmap"
    shutil.copyfile(plan.keyring(cluster, "mon."), boot)
    for command in plan.monitor_commands(cluster, boot, monmap):
        _run(cluster, command)
    boot.unlink()
    monmap.unlink()
    ready.touch()


def _make_osd(cluster: Cluster) -> None:
    """Make the disk. The monitor gives the same number to the same uuid, so doing it again makes no second one."""
    marker = cluster.folder / "osd" / "made"
    if marker.is_file():
        return
    shutil.rmtree(cluster.folder / "osd")
    (cluster.folder / "osd").mkdir(mode=0o700)
    osd = json.loads((cluster.folder / "cluster.json").read_text())["osd"]
    _run(cluster, ["ceph", "osd", "new", osd])
    _run(cluster, ["ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd])
    marker.touch()


def _make_owner(cluster: Cluster, store_plan: StorePlan) -> None:
    """Make the one user that the gateway cannot be asked for: who makes all others.

    Its key goes through a pipe: every user of the machine may read the words of a command.
    """
    secret = cluster.secrets / f"ceph-{OPS}"
    make_secret(secret, _new_keys)
    keys = StoreKeys.parse(secret.read_text())
    user: User = store_plan.users[OPS]
    ask = ["radosgw-admin", "-n", "client.rgw.a"]
    try:
        _run(cluster, [*ask, "user", "info", f"--uid={OPS}"])
        kept = True
    except CommandFailed:
        _run(cluster, [*ask, "user", "create", f"--uid={OPS}", f"--display-name={user.title}", f"--caps={ADMIN_CAPS}"])
        kept = False  # a key that Ceph thought of
    facts = json.loads(_run(cluster, [*ask, "metadata", "get", f"user:{OPS}"]))
    ours = {"user": OPS, "subuser": "", "access_key": keys.access_key, "secret_key": keys.secret_key}
    known = facts["data"]["keys"] if kept else []
    if keys.pair not in [(key["access_key"], key["secret_key"]) for key in known]:
        others = [key for key in known if key["access_key"] != keys.access_key]
        facts["data"]["keys"] = [*others, ours]
        _run(cluster, [*ask, "metadata", "put", f"user:{OPS}"], json.dumps(facts))


def _mon_answers(cluster: Cluster) -> str:
    return _asked(cluster, ["ceph", "--connect-timeout", "2", "mon", "stat"])


def _osd_active(cluster: Cluster) -> str:
    """Ask the OSD itself: what the monitor says of it is stale after a kill."""
    why = _asked(cluster, ["ceph", "--admin-daemon", str(cluster.run / "osd.asok"), "status"], "state", "active")
    return why


def _asked(cluster: Cluster, argv: list[str], field: str = "", wanted: str = "") -> str:
    try:
        answer = _run(cluster, argv)
    except CommandFailed as error:
        return str(error)
    found = json.loads(answer)[field] if field else wanted
    return "" if found == wanted else f"it is {found}"


def _run(cluster: Cluster, argv: list[str], given: str | None = None) -> str:
    return run(argv, environment=os.environ | cluster.environment, timeout_s=60, given=given)


def _wait(supervisor: Supervisor, settings: Settings, name: str, check: Callable[[], str]) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while why := check():
        state = supervisor.state(name)
        given_up = state is None or state.state in ("FATAL", "EXITED", "STOPPED")
        if given_up or time.monotonic() > deadline:
            why = "it ends by itself" if given_up else why
            raise ServiceNotReady(service=name, reason=why, log=log_file(settings, name), cause=_tail(settings, name))
        time.sleep(0.1)


def _tail(settings: Settings, name: str) -> str:
    part = "gateway" if name == CEPH else name.removeprefix("ceph-")
    file = settings.home / "ceph" / "log" / f"{part}.log"
    lines: list[str] = []
    for path in (file, log_file(settings, name)):
        with suppress(OSError):
            lines += path.read_text(errors="replace").splitlines()[-LAST_LINES:]
    return "\n".join(lines)
