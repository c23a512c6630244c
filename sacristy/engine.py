"""The Docker engine: command lines as data, and how they are run. DOCKER_HOST says which engine, as everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from sacristy.commands import feed, run
from sacristy.errors import CommandFailed, ImageNotInEngine

PROGRAM = "docker"
BUILD_TIMEOUT_S = 3600.0
TIMEOUT_S = 120.0


def build_command(context: Path, dockerfile: Path, tag: str, arguments: Mapping[str, str]) -> list[str]:
    """Return the command that builds an image with no network; `arguments` are its build arguments."""
    words = [PROGRAM, "build", "--network", "none", "--force-rm", "--file", str(dockerfile), "--tag", tag]
    for name, value in arguments.items():
        words += ["--build-arg", f"{name}={value}"]
    return [*words, str(context)]


def inspect_image_command(reference: str) -> list[str]:
    """Return the command that shows an image as JSON."""
    return [PROGRAM, "image", "inspect", reference]


def remove_image_command(name: str) -> list[str]:
    """Return the command that takes a name off an image, and removes the image if it was the last; not one in use."""
    return [PROGRAM, "image", "rm", name]


def save_command(reference: str, path: Path) -> list[str]:
    """Return the command that writes an image as a tar archive."""
    return [PROGRAM, "image", "save", "--output", str(path), reference]


def load_command() -> list[str]:
    """Return the command that takes images from an archive on its standard input."""
    return [PROGRAM, "image", "load", "--quiet"]


def find_image(reference: str) -> dict[str, Any]:
    """Return what the engine knows of an image. Raises ImageNotInEngine, CommandFailed or ProgramMissing."""
    try:
        found: dict[str, Any] = json.loads(run(inspect_image_command(reference), timeout_s=TIMEOUT_S))[0]
    except CommandFailed as error:
        if "no such image" in str(error).lower():
            raise ImageNotInEngine(reference=reference) from None
        raise
    return found


def has_image(reference: str) -> bool:
    """Say whether the engine has an image. Raises CommandFailed or ProgramMissing."""
    try:
        find_image(reference)
    except ImageNotInEngine:
        return False
    return True


def inspect_images(name: str = "") -> list[dict[str, Any]]:
    """Return what the engine knows of all its images, or of those with such a name (it may have stars in it)."""
    chosen = ["--filter", f"reference={name}"] if name else ["--all"]
    listed = run([PROGRAM, "image", "ls", "--quiet", "--no-trunc", *chosen], timeout_s=TIMEOUT_S)
    names = sorted(set(listed.split()))
    if not names:
        return []
    found: list[dict[str, Any]] = json.loads(run([PROGRAM, "image", "inspect", *names], timeout_s=TIMEOUT_S))
    return found


def layers_of_images() -> list[list[str]]:
    """Return the layers of every image that the engine has, lowest first."""
    return [image["RootFS"].get("Layers") or [] for image in inspect_images()]


def build_image(context: Path, dockerfile: Path, tag: str, arguments: Mapping[str, str]) -> dict[str, Any]:
    """Build an image and return what the engine knows of it. Raises CommandFailed with the build's last line."""
    run(build_command(context, dockerfile, tag, arguments), timeout_s=BUILD_TIMEOUT_S)
    return find_image(tag)


def save_image(reference: str, path: Path) -> None:
    """Write an image as a tar archive."""
    run(save_command(reference, path), timeout_s=BUILD_TIMEOUT_S)


def load_archive(write: Callable[[BinaryIO], None]) -> str:
    """Give the engine an archive as `write` writes it, and return what the engine says."""
    return feed(load_command(), write)
