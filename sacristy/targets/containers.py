"""Docker's command lines for instances, as data: a unit test compares them. docker.py runs them."""

from __future__ import annotations

from dataclasses import dataclass

from sacristy.engine import PROGRAM
from sacristy.model_file import Resources
from sacristy.names import Stage

PORT = 8080  # inside of every container
GRACE_S = 15  # beyond the longest prediction, which the image itself waits for
USER = "65532:65532"
PROCESSES = 512
TEMPORARY_MIB = 256
HOME_LABEL = "dev.sacristy.home"
DIGEST_LABEL = "dev.sacristy.digest"
OPEN_NETWORK, CLOSED_NETWORK = "sacristy", "sacristy-trial"
NO_RESOLVER = "127.0.0.1"  # the engine's resolver would ask the host's for a container that has no way out
PEAK_FILES = ("/sys/fs/cgroup/memory.peak", "/sys/fs/cgroup/memory/memory.max_usage_in_bytes")  # cgroup v2, v1


@dataclass(frozen=True)
class Container:
    """One instance to be started. `port` on the loopback is published; 0 for a trial, in the closed network.

    `joined`: a network in which it is reached by its name instead, as in the composed stack.
    """

    name: str
    image_id: str
    digest: str
    home: str
    resources: Resources
    port: int = 0
    joined: str = ""

    @property
    def network(self) -> str:
        """The network it is in."""
        if self.joined:
            return self.joined
        return OPEN_NETWORK if self.port else CLOSED_NETWORK


def is_stage(purpose: str) -> bool:
    """Say whether an instance serves users, so that it is published and kept alive."""
    return purpose in list(Stage)


def run_command(container: Container) -> list[str]:
    """Return the command that starts a container with all that it may not do taken away."""
    return [
        *(PROGRAM, "run", "--detach", "--pull", "never", "--name", container.name),
        *("--label", f"{HOME_LABEL}={container.home}", "--label", f"{DIGEST_LABEL}={container.digest}"),
        *_reach(container),
        *_limits(container.resources),
        *("--user", USER, "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
        *("--read-only", "--tmpfs", f"/tmp:rw,noexec,nosuid,nodev,size={TEMPORARY_MIB}m"),  # noqa: S108 - its own
        *("--log-driver", "json-file", "--log-opt", "max-size=10m", "--log-opt", "max-file=3"),
        *("--env", f"SACRISTY_DIGEST={container.digest}"),
        container.image_id,
    ]


def network_command(name: str) -> list[str]:
    """Return the command that makes one of the two networks; in neither do containers reach each other."""
    closed = ["--internal"] if name == CLOSED_NETWORK else []
    alone = ["--opt", "com.docker.network.bridge.enable_icc=false"]
    return [PROGRAM, "network", "create", "--driver", "bridge", *closed, *alone, name]


def find_network_command(name: str) -> list[str]:
    """Return the command that fails if there is no such network."""
    return [PROGRAM, "network", "inspect", "--format", "{{.Id}}", name]


def inspect_command(name: str) -> list[str]:
    """Return the command that shows a container as JSON."""
    return [PROGRAM, "container", "inspect", name]


def list_command(home: str) -> list[str]:
    """Return the command that names all containers of a home folder, running or not."""
    return [PROGRAM, "container", "ls", "--all", "--filter", f"label={HOME_LABEL}={home}", "--format", "{{.Names}}"]


def logs_command(name: str, lines: int) -> list[str]:
    """Return the command that prints the last lines of a container."""
    return [PROGRAM, "container", "logs", "--tail", str(lines), name]


def read_command(name: str, path: str) -> list[str]:
    """Return the command that prints a file inside of a container."""
    return [PROGRAM, "container", "exec", name, "cat", path]


def stop_command(name: str, grace_s: int) -> list[str]:
    """Return the command that ends a container with SIGTERM, and after the grace with SIGKILL."""
    return [PROGRAM, "container", "stop", "--time", str(grace_s), name]


def remove_command(name: str) -> list[str]:
    """Return the command that removes a container and what it wrote."""
    return [PROGRAM, "container", "rm", "--force", "--volumes", name]


def _reach(container: Container) -> list[str]:
    if container.joined:
        return ["--network", container.joined, "--restart", "unless-stopped"]
    if container.port:
        published = f"127.0.0.1:{container.port}:{PORT}"
        return ["--network", container.network, "--publish", published, "--restart", "unless-stopped"]
    return ["--network", container.network, "--dns", NO_RESOLVER, "--restart", "no"]


def _limits(resources: Resources) -> list[str]:
    memory = f"{resources.memory_mib}m"
    return [
        *("--cpus", f"{resources.cpu:g}", "--memory", memory, "--memory-swap", memory),
        *("--pids-limit", str(PROCESSES), "--shm-size", f"{TEMPORARY_MIB}m"),
    ]
