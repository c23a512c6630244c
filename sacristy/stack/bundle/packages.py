"""Python's and npm's packages of a bundle: each as the locks name it, checked by the hash that they give."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from sacristy.commands import run
from sacristy.datasets import read_pointer
from sacristy.environments import categories, links_page, local_wheels
from sacristy.errors import DownloadCorrupt
from sacristy.images.copy import Progress
from sacristy.images.wheelhouse import PIP, requirements
from sacristy.packages import NPM, WHEELS
from sacristy.project import load_model
from sacristy.search.driving import search_lock
from sacristy.settings import Settings
from sacristy.stack import omniboard
from sacristy.stack.dvc import dvc_lock

REQUIREMENTS = "requirements"
SECTIONS = {"packages": "default"}  # as a lock calls what a Pipfile calls otherwise
STACK = ("default", "embedded")


def requirement_sets(settings: Settings, models: list[str], *, search: bool = False) -> dict[str, str]:
    """Return pip's requirements, with hashes, of the stack, of the images' pip, of each model, and of what moves the
    data of those that have some (`data`).
    """
    lock = json.loads((settings.project / "Pipfile.lock").read_text())
    pip = (settings.project / "deploy" / "images" / "serving" / PIP).read_text()
    locks = {f"model-{model}": load_model(settings.project, model).lock for model in models}
    if any(read_pointer(settings, model) for model in models):
        locks["data"] = dvc_lock(settings)
    if search:
        locks["search"] = search_lock(settings)
    local = local_wheels(os.environ.get("PIP_FIND_LINKS", ""))
    sets = {name: environment_requirements(path, local) for name, path in locks.items()}
    return {"stack": requirements(lock, list(STACK)), "pip": pip} | sets


def environment_requirements(lock: Path, local: Mapping[str, str]) -> str:
    """Return what a lock's environment installs: CUDA's libraries only where no CPU build of torch is at hand."""
    text = lock.read_text()
    wanted = categories(text, local).split()
    return requirements(json.loads(text), [SECTIONS.get(name, name) for name in wanted])


def gather_wheels(sets: dict[str, str], folder: Path, progress: Progress) -> None:
    """Fill wheels/ and requirements/ of a bundle. Raises CommandFailed with pip's last line."""
    wheels, texts = folder / WHEELS, folder / REQUIREMENTS
    for each in (wheels, texts):
        shutil.rmtree(each, ignore_errors=True)
        each.mkdir(parents=True)
    page = folder / ".links.html"  # digests beside local wheels: see links_page
    page.write_text(links_page(local_wheels(os.environ.get("PIP_FIND_LINKS", ""))))
    environment = os.environ | {"PIP_FIND_LINKS": f"{page} {os.environ.get('PIP_FIND_LINKS', '')}".strip()}
    for name, text in sets.items():
        (texts / f"{name}.txt").write_text(text)
        progress(f"packages of {name}, {text.count('==')}")
        run(download_command(texts / f"{name}.txt", wheels), environment=environment)
    page.unlink()


def download_command(requirements: Path, folder: Path) -> list[str]:
    """Return pip's command; of the few packages that publish no wheel it takes the source."""
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    return [*argv, "--no-deps", "--prefer-binary", "--dest", str(folder), "--requirement", str(requirements)]


def npm_packages(settings: Settings) -> dict[str, str]:
    """Return the integrity of Omniboard and of every package that it needs, by package@version."""
    ours = omniboard.sources(settings)
    config = json.loads((ours / "package.json").read_text())["config"]
    own = {f"omniboard@{config['omniboard']}": config["integrity"]}
    return own | dict(omniboard.locked_packages(ours / "package-lock.json").values())


def gather_npm(packages: dict[str, str], folder: Path, progress: Progress) -> None:
    """Fill npm/ of a bundle. Raises ProgramMissing, CommandFailed or DownloadCorrupt."""
    omniboard.find_node()
    target = folder / NPM
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    progress(f"npm's packages, {len(packages)}")
    run(pack_command(sorted(packages), target), folder=target, timeout_s=omniboard.INSTALL_WITHIN_S)
    for package, integrity in packages.items():
        found = omniboard.integrity(target / omniboard.tarball_name(package))
        if found != integrity:
            raise DownloadCorrupt(name=package, expected=integrity, found=found)


def pack_command(packages: list[str], folder: Path) -> list[str]:
    """Return the command that fetches packages as they were published."""
    return ["npm", "pack", "--silent", "--pack-destination", str(folder), *packages]
