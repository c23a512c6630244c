"""One training as several processes, ranks to PyTorch: which of them this one is, and the command that starts them.

Standard library only: it runs in Ray's workers and in every training.
"""

from __future__ import annotations

import os
import random
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LAUNCHER = "sacristy.training.launch"
LAUNCHED = "TORCHELASTIC_RUN_ID"  # torchrun's mark: a variable RANK of somebody else's is no reason to record nothing
LOOPBACK = "127.0.0.1"
PORTS = range(20_000, 32_000)  # below those that Linux gives to whoever asks for any


@dataclass(frozen=True)
class Node:
    """One worker among others: its number, how many there are, and where rank 0 waits for them."""

    number: int = 0
    count: int = 1
    address: str = LOOPBACK
    port: int = 0


def rank() -> int:
    """Return this process's number among those of its training; 0 is the one that is recorded."""
    return int(os.environ["RANK"]) if LAUNCHED in os.environ else 0


def world_size() -> int:
    """Return how many processes train together."""
    return int(os.environ["WORLD_SIZE"]) if LAUNCHED in os.environ else 1


def is_beside_rank_0() -> bool:
    """Say whether this is another rank on the node of rank 0: what ends them is told to both at once."""
    return rank() > 0 and os.environ.get("GROUP_RANK") == "0"


def draw_alike() -> None:
    """Let all ranks draw the same seed, where Sacred is to draw one."""
    random.seed(os.environ[LAUNCHED])


def training_command(
    python: Path | str, script: Path, words: Sequence[str], processes: int, node: Node | None = None, token: str = ""
) -> list[str]:
    """Return the command of a training: its script, or torchrun with so many processes of it for this node.

    `token`: the same on all nodes of one training, and in no other.
    """
    if processes == 1 and node is None:
        return [str(python), str(script), *words]
    node = node or Node()
    port = node.port or free_port()
    at = {"nnodes": node.count, "node-rank": node.number, "nproc-per-node": processes, "master-addr": node.address}
    given = [
        f"--{name}={value}"
        for name, value in (at | {"master-port": port, "rdzv-id": token or secrets.token_hex(8)}).items()
    ]
    return [str(python), "-m", LAUNCHER, *given, str(script), *words]


def free_port() -> int:
    """Return a port that nobody listens on."""
    for port in random.SystemRandom().sample(PORTS, 100):
        with socket.socket() as door:
            try:
                door.bind(("", port))
            except OSError:
                continue
            return port
    raise OSError("a hundred ports were all taken")
