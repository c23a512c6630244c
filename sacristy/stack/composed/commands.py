"""Command lines of Docker Compose, as data. Both its second version and the one that Debian 12 has will do."""

from __future__ import annotations

from collections.abc import Sequence

from sacristy.engine import PROGRAM
from sacristy.stack.composed.place import STATE, Place
from sacristy.targets.containers import HOME_LABEL

PLUGIN, PROGRAM_OF_ITS_OWN = (PROGRAM, "compose"), ("docker-compose",)
PROJECT_LABEL, SERVICE_LABEL = "com.docker.compose.project", "com.docker.compose.service"


def compose(program: Sequence[str], place: Place, profiles: Sequence[str], *words: str) -> list[str]:
    """Return a compose command for a stack's file, its .env and some of its profiles."""
    chosen = [word for profile in profiles for word in ("--profile", profile)]
    files = ["--project-directory", str(place.folder), "--file", str(place.file), "--env-file", str(place.env)]
    return [*program, *files, *chosen, *words]


def containers_of(project: str) -> list[str]:
    """Return the command that lists the ids of a project's containers, running or not."""
    label = f"label={PROJECT_LABEL}={project}"
    return [PROGRAM, "container", "ls", "--all", "--quiet", "--no-trunc", "--filter", label]


def inspect(ids: Sequence[str]) -> list[str]:
    """Return the command that shows containers as JSON."""
    return [PROGRAM, "container", "inspect", *ids]


def models(home: str) -> list[str]:
    """Return the command that lists the models' containers that the operator started."""
    return [PROGRAM, "container", "ls", "--all", "--quiet", "--filter", f"label={HOME_LABEL}={home}"]


def remove(ids: Sequence[str]) -> list[str]:
    """Return the command that ends and removes containers."""
    return [PROGRAM, "container", "rm", "--force", "--volumes", *ids]


def log_tail(name: str, lines: int) -> list[str]:
    """Return the command that prints a container's last lines."""
    return [PROGRAM, "container", "logs", "--tail", str(lines), name]


__all__ = ["STATE", "compose", "containers_of", "inspect", "log_tail", "models", "remove"]
