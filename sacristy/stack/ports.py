"""Which port each service has: its usual one, or a free one, remembered so that addresses stay."""

from __future__ import annotations

import json
import socket
from collections.abc import Collection

import psutil

from sacristy.settings import Settings
from sacristy.stack.port_claims import claim
from sacristy.supervision.program import write_private

HOST = "127.0.0.1"
USUAL_PORTS = {"mongodb": 27117, "omniboard": 9005, "gateway": 8600, "ceph": 7443, "ceph-mon": 17300}


def choose_port(settings: Settings, service: str, pid: int = 0) -> int:
    """Return and remember the service's port. `pid`: its process now, which may hold the port already."""
    remembered = settings.port(service)
    candidates = [port for port in (remembered, USUAL_PORTS[service]) if port]

    def choose(claimed: Collection[int]) -> int:
        """Return the first candidate that is free, or is the process's own."""
        for port in candidates:
            if (port not in claimed and is_free(port)) or (pid and holds(pid, port)):
                return port
        return free_port()

    port = claim(settings.home, choose)
    if port != remembered:
        remember(settings, service, port)
    return port


def remember(settings: Settings, service: str, port: int) -> None:
    """Write the service's port into ports.json."""
    text = json.dumps(settings.ports() | {service: port}, indent=1, sort_keys=True)
    write_private(settings.home / "ports.json", text + "\n")


def is_free(port: int) -> bool:
    """Say whether nobody listens on a loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that linger do not count
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a loopback port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def holds(pid: int, port: int) -> bool:
    """Say whether a process or one of its children listens on a port."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        sockets = [item for member in family for item in member.net_connections("tcp")]
    except psutil.Error:
        return False
    return any(item.status == psutil.CONN_LISTEN and item.laddr.port == port for item in sockets)
