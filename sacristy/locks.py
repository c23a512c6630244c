"""Pipfile.lock files that install anywhere: no index named, and every build of a release accepted by its hash."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from sacristy.commands import run

Lock = dict[str, Any]


def lock(folder: Path, categories: str) -> None:
    """Resolve folder/Pipfile anew and write a portable Pipfile.lock. Raises CommandFailed."""
    environment = os.environ | {"PIPENV_PIPFILE": str(folder / "Pipfile"), "VIRTUAL_ENV": sys.prefix}
    run([sys.executable, "-m", "pipenv", "lock", "--categories", categories], folder=folder, environment=environment)
    path = folder / "Pipfile.lock"
    content = json.loads(path.read_text())
    hashes = {name: published_hashes(name, version) for name, version in local_builds(content).items()}
    path.write_text(json.dumps(portable(content, hashes), indent=4) + "\n")


def local_builds(lock: Lock) -> dict[str, str]:
    """Return the packages that were locked to a local build, such as torch 2.13.0+cpu, with their public version."""
    packages = [package for name, section in lock.items() if name != "_meta" for package in section.items()]
    return {name: entry["version"][2:].split("+")[0] for name, entry in packages if "+" in entry.get("version", "")}


def published_hashes(name: str, version: str) -> list[str]:
    """Return the hash of the published wheel for this platform, which is not downloaded. Raises CommandFailed."""
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps"]
    argv += ["--report", "-", f"{name}==={version}"]  # === leaves local builds out
    report = json.loads(run(argv, environment=os.environ | {"PIP_FIND_LINKS": ""}))
    return [f"sha256:{item['download_info']['archive_info']['hashes']['sha256']}" for item in report["install"]]


def portable(lock: Lock, published: dict[str, list[str]]) -> Lock:
    """Return the lock without its indexes, and with `==2.13.0+cpu` written `==2.13.0` and the hashes of both builds."""
    result = {"_meta": lock["_meta"] | {"sources": []}}
    for section, packages in lock.items():
        if section != "_meta":
            result[section] = {name: _entry(entry, published.get(name, [])) for name, entry in packages.items()}
    return result


def _entry(entry: dict[str, Any], published: list[str]) -> dict[str, Any]:
    kept = {key: value for key, value in entry.items() if key != "index"}
    if "version" in kept:
        kept["version"] = kept["version"].split("+")[0]
    if published:
        kept["hashes"] = sorted({*kept["hashes"], *published})
    return kept
