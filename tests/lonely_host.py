"""A host of the tests' own: a network namespace with its own addresses, ports, firewall and names.

What runs in it can fetch packages (unless it is cut off), and is reached from here at one address. Nothing of it is
seen on this machine's own interfaces, so that a port scan of it finds what a port scan of a real host would find.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import leftovers


def free_net() -> str:
    """Return the first three numbers of a network that this machine does not have."""
    taken = subprocess.run(["ip", "-4", "address"], check=True, capture_output=True, text=True).stdout
    return next(net for net in (f"172.29.{part}" for part in range(200, 250)) if f" {net}." not in taken)


class Host:
    """The namespace. `enter` are the words before a command that is to run in it, and see its names.

    `cut`: it answers whoever asks it from here, and reaches nobody itself, this machine neither.
    """

    def __init__(self, names: Sequence[str], *, cut: bool = False) -> None:
        leftovers.clear_hosts()
        self.name = f"sacristy-{os.getpid()}"
        net = free_net()  # .1 is this machine, .2 the host
        self.address = f"{net}.2"
        self.outside = leftovers.link_of(os.getpid())
        way_out = (
            ("filter", "FORWARD", "-i", self.outside, "-j", "ACCEPT"),
            ("filter", "FORWARD", "-o", self.outside, "-j", "ACCEPT"),
            ("nat", "POSTROUTING", "-s", f"{net}.0/24", "!", "-o", self.outside, "-j", "MASQUERADE"),
        )
        none = (
            ("filter", "FORWARD", "-i", self.outside, "-j", "DROP"),
            ("filter", "INPUT", "-i", self.outside, "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP"),
        )
        self.folder = Path("/etc/netns") / self.name
        self.folder.mkdir(parents=True)
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n{self.address} {' '.join(names)}\n")
        _ip("netns", "add", self.name)
        _ip("link", "add", self.outside, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        _ip("address", "add", f"{net}.1/24", "dev", self.outside)
        _ip("link", "set", self.outside, "up")
        for words in (
            ("address", "add", f"{self.address}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("link", "set", "lo", "up"),
            *(() if cut else (("route", "add", "default", "via", f"{net}.1"),)),
        ):
            _ip("-n", self.name, *words)
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        for table, *rule in none if cut else way_out:
            subprocess.run(["iptables", "-t", table, "-I", *rule], check=True)

    @property
    def network(self) -> tuple[str, ...]:
        """Enter its network only: an engine needs the control groups that `enter` hides."""
        return ("nsenter", f"--net=/run/netns/{self.name}")

    @property
    def enter(self) -> tuple[str, ...]:
        """Enter its network, with its /etc/hosts."""
        return ("ip", "netns", "exec", self.name)

    def close(self) -> None:
        """Take all of it away. What ran in it has ended."""
        leftovers.clear_host(self.name, self.outside)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
