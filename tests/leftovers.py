"""What killed tests leave on this machine: it would be in the way of the next ones, so they take it away first.

Its name carries the number of the process that made it.
"""

import os
import re
import subprocess
from pathlib import Path

import psutil

NAMESPACES = Path("/run/netns")


def maker(name: str, prefix: str) -> int | None:
    """Return the number of the process that made what has this name, or None if tests made it not."""
    found = re.match(rf"{re.escape(prefix)}-(\d+)(?:-|$)", name)
    return int(found[1]) if found else None


def link_of(pid: int) -> str:
    """Return the name of the link that leads to a process's host; the kernel allows 15 letters."""
    return f"sac{pid % 10**6}"


def clear_hosts() -> None:
    """Take away the hosts of processes that are gone: namespaces, links, rules of the firewall, names."""
    names = [path.name for path in NAMESPACES.glob("*")] if NAMESPACES.is_dir() else []
    for name in names:
        for prefix in ("sacristy", "cut"):
            pid = maker(name, prefix)
            if pid is not None and not psutil.pid_exists(pid):
                clear_host(name, link_of(pid))


def clear_host(name: str, link: str) -> None:
    """Take away a host: its namespace, the link that leads there with its rules, and its names."""
    for table in ("filter", "nat"):
        for rule in _run("iptables-save", "-t", table).splitlines():
            if rule.startswith("-A ") and link in rule.split():
                _run("iptables", "-t", table, "-D", *rule.split()[1:])
    _run("ip", "netns", "delete", name)
    _run("ip", "link", "delete", link)
    folder = Path("/etc/netns") / name
    (folder / "hosts").unlink(missing_ok=True)
    if folder.is_dir():
        folder.rmdir()


def _run(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def is_abandoned(folder: str, prefix: str) -> bool:
    """Say whether a run folder is nobody's any more. One without a maker's number is a stranger's while it is there."""
    place = Path(folder)
    pid = maker(place.parent.name, prefix)
    return not place.exists() if pid is None else not psutil.pid_exists(pid)


def own(prefix: str) -> str:
    """Return a prefix of names that say whose they are."""
    return f"{prefix}-{os.getpid()}-"
