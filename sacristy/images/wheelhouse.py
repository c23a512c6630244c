"""The wheels of a Pipfile.lock in a folder, each checked by its hash: all that an environment image is built from."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from sacristy.commands import run
from sacristy.environments import LINKS, links_page, local_wheels
from sacristy.errors import LocalWheelMissing
from sacristy.packages import pip_environment
from sacristy.settings import Settings
from sacristy.weights.atomic import writing

WHEELS = "wheels"
REQUIREMENTS = "requirements.txt"
PIP = "pip.txt"


class Variant(StrEnum):
    """What an environment computes on."""

    CPU = "cpu"
    CUDA = "cuda"


def place_of(settings: Settings, lock: Path, variant: Variant, *, train: bool = False) -> Path:
    """Return the folder that belongs to a lock: one process at a time may fill it and use what is there."""
    return settings.home / "wheelhouse" / f"{lock_name(lock)}-{variant}{'-train' if train else ''}"


def fill(folder: Path, settings: Settings, lock: Path, variant: Variant, *, train: bool = False) -> None:
    """Fill a folder's wheels/: the locked wheels, the requirements with their hashes, and a pip.

    Filled anew each time; pip's own cache keeps that short. Raises CommandFailed or LocalWheelMissing.
    """
    content = json.loads(lock.read_text())
    given = pip_environment(settings)
    local = local_wheels(given.get("PIP_FIND_LINKS", "")) if variant is Variant.CPU else {}
    if variant is Variant.CPU:
        require_cpu_build(content, local)
    wheels = folder / WHEELS
    with writing(folder):
        shutil.rmtree(folder, ignore_errors=True)
        wheels.mkdir(parents=True)
        (wheels / REQUIREMENTS).write_text(requirements(content, sections(variant, train=train)))
        shutil.copyfile(settings.project / "deploy" / "images" / "serving" / PIP, wheels / PIP)
        (folder / LINKS).write_text(links_page(local))
    environment = given | {"PIP_FIND_LINKS": find_links(folder / LINKS, variant, given)}
    for name in (REQUIREMENTS, PIP):
        run(download_command(wheels / name, wheels), environment=environment)


def lock_name(lock: Path) -> str:
    """Return the first 16 digits of a lock's SHA-256."""
    import hashlib

    return hashlib.sha256(lock.read_bytes()).hexdigest()[:16]


def sections(variant: Variant, *, train: bool) -> list[str]:
    """Return the sections of the lock that are installed."""
    return ["default"] + (["train"] if train else []) + (["cuda"] if variant is Variant.CUDA else [])


def requirements(lock: Mapping[str, Any], names: list[str]) -> str:
    """Return pip's requirements for sections of a lock, every one with the hashes that its wheel may have."""
    entries = {package: entry for name in names for package, entry in lock.get(name, {}).items()}
    return "".join(f"{_requirement(package, entry)}\n" for package, entry in sorted(entries.items()))


def download_command(requirements: Path, folder: Path) -> list[str]:
    """Return the command that fetches wheels by hash; nothing of them is executed."""
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--no-deps"]
    return [*argv, "--only-binary", ":all:", "--dest", str(folder), "--requirement", str(requirements)]


def find_links(page: Path, variant: Variant, given: Mapping[str, str]) -> str:
    """Return PIP_FIND_LINKS: local wheels by their digests first; for CUDA only the published ones, where they are."""
    links = given.get("PIP_FIND_LINKS", "")
    return f"{page} {links}".strip() if variant is Variant.CPU or given.get("PIP_NO_INDEX") else ""


def require_cpu_build(lock: Mapping[str, Any], local: Mapping[str, str]) -> None:
    """Raise LocalWheelMissing if the lock's torch is at hand only in the published build, which needs CUDA."""
    hashes = lock.get("default", {}).get("torch", {}).get("hashes", [])
    held = any(Path(path).name.startswith("torch-") and f"sha256:{digest}" in hashes for path, digest in local.items())
    if lock.get("cuda") and not held:
        raise LocalWheelMissing(package="torch", version=lock["default"]["torch"]["version"])


def _requirement(package: str, entry: Mapping[str, Any]) -> str:
    extras = f"[{','.join(entry['extras'])}]" if entry.get("extras") else ""
    markers = f" ; {entry['markers']}" if entry.get("markers") else ""
    hashes = "".join(f" --hash={digest}" for digest in entry["hashes"])
    return f"{package}{extras}{entry['version']}{markers}{hashes}"
