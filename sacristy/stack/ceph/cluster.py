"""A one-node Ceph as data: its folder, ceph.conf, programs, and the commands that make it. Nothing runs here."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sacristy.settings import Settings
from sacristy.stack.services import CEPH, log_file
from sacristy.supervision import Program

MON, OSD = "ceph-mon", "ceph-osd"
PROGRAMS = (MON, OSD, CEPH)  # the order of starting; they stop in the other
CERTIFICATE, KEY = "ceph-certificate.pem", "ceph-certificate-key.pem"
CERTIFICATE_DAYS = 825
SOCKET_PATH_LIMIT = 90  # characters; longer ones break the daemons' admin sockets
OSD_PORTS = 50
GIB = 1 << 30


@dataclass(frozen=True)
class Cluster:
    """Where a one-node cluster lives. Ports are on loopback; `extra` are lines for the gateway's part of ceph.conf."""

    folder: Path
    template: Path
    secrets: Path
    fsid: str
    gateway_port: int
    mon_port: int
    size_gib: int
    extra: str = ""

    @property
    def run(self) -> Path:
        """Where admin sockets are: in the folder, or where that path is too long in a private temporary one."""
        path = self.folder / "run"
        if len(os.fsencode(path / "gateway.asok")) <= SOCKET_PATH_LIMIT:
            return path
        short = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"sacristy-ceph-{os.getuid()}-{short}"

    @property
    def file(self) -> Path:
        """The ceph.conf."""
        return self.folder / "ceph.conf"

    @property
    def environment(self) -> dict[str, str]:
        """What every Ceph program needs to find the cluster."""
        return {"CEPH_CONF": str(self.file)}

    @property
    def endpoint(self) -> str:
        """The https address of the gateway."""
        return f"https://127.0.0.1:{self.gateway_port}"

    @property
    def quota_bytes(self) -> int:
        """What the buckets may hold together: below the full ratio, so that overflow is a clean refusal."""
        return self.size_gib * GIB * 55 // 100


def configuration(cluster: Cluster) -> str:
    """Return the text of ceph.conf."""
    words = {
        "folder": cluster.folder,
        "run": cluster.run,
        "fsid": cluster.fsid,
        "mon_port": cluster.mon_port,
        "osd_port_min": cluster.mon_port + 10,
        "osd_port_max": cluster.mon_port + 10 + OSD_PORTS,
        "osd_bytes": cluster.size_gib * GIB,
        "gateway_port": cluster.gateway_port,
        "certificate": cluster.secrets / CERTIFICATE,
        "key": cluster.secrets / KEY,
        "extra": cluster.extra,
    }
    return cluster.template.read_text(encoding="utf-8").format(**words)


def programs(cluster: Cluster, settings: Settings) -> dict[str, Program]:
    """Return the three daemons by name; the gateway ends first and the monitor last."""
    argvs = {
        MON: ("ceph-mon", "-f", "-i", "a"),
        OSD: ("ceph-osd", "-f", "-i", "0"),
        CEPH: ("radosgw", "-f", "-n", "client.rgw.a"),
    }
    return {
        name: Program(
            name,
            argv,
            cluster.folder,
            log_file(settings, name),
            cluster.environment,
            stop_wait_s=4 if name == CEPH else 15,  # the gateway waits for idle connections, and has nothing to lose
            order=110 + 10 * place,
        )
        for place, (name, argv) in enumerate(argvs.items())
    }


def keyring_commands(cluster: Cluster) -> dict[Path, list[str]]:
    """Return for each keyring the command that makes it."""
    everything = ["--cap", "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *"]
    caps: dict[str, Sequence[str]] = {
        "client.admin": everything,
        "osd.0": ["--cap", "mon", "allow profile osd", "--cap", "osd", "allow *"],
        "client.rgw.a": ["--cap", "mon", "allow rw", "--cap", "osd", "allow rwx"],
        "mon.": ["--cap", "mon", "allow *"],
    }
    files = {name: keyring(cluster, name) for name in caps}
    return {
        files[name]: ["ceph-authtool", "--create-keyring", str(files[name]), "--gen-key", "-n", name, *given]
        for name, given in caps.items()
    }


def keyring(cluster: Cluster, name: str) -> Path:
    """Return the file with a daemon's or user's key; ceph.conf finds it by the same rule."""
    return cluster.folder / "keys" / f"{'mon.a' if name == 'mon.' else name}.keyring"


def monitor_commands(cluster: Cluster, boot: Path, monmap: Path) -> list[list[str]]:
    """Return the commands that make the monitor's store. `boot`: a copy of its keyring, `monmap`: a new file."""
    imports = [
        ["ceph-authtool", str(boot), "--import-keyring", str(keyring(cluster, name))]
        for name in ("client.admin", "osd.0", "client.rgw.a")
    ]
    address = f"[v2:127.0.0.1:{cluster.mon_port}/0]"
    return [
        *imports,
        ["monmaptool", "--create", "--clobber", "--fsid", cluster.fsid, "--addv", "a", address, str(monmap)],
        ["ceph-mon", "--mkfs", "-i", "a", "--monmap", str(monmap), "--keyring", str(boot)],
    ]


def certificate_command(certificate: Path, key: Path) -> list[str]:
    """Return the command that makes a certificate for this machine's loopback address, signed by itself."""
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
    argv += ["-days", str(CERTIFICATE_DAYS), "-subj", "/CN=sacristy-ceph", "-addext", names]
    return [*argv, "-keyout", str(key), "-out", str(certificate)]
