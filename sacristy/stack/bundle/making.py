"""`sacristy bundle make`: what belongs into a bundle, and gathering it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sacristy import __version__, engine
from sacristy.commands import run
from sacristy.images.copy import Progress
from sacristy.settings import Settings
from sacristy.stack.bundle.debian import gather_debian
from sacristy.stack.bundle.images import SAVING, gather_images
from sacristy.stack.bundle.manifest import NAME, Manifest, hashed, write_manifest
from sacristy.stack.bundle.packages import gather_npm, gather_wheels, npm_packages, requirement_sets
from sacristy.stack.composed.place import Place, place_of
from sacristy.stack.composed.running import image_names, profiles_of
from sacristy.weights.atomic import writing

PROJECT = "project.bundle"
BASE = "SACRISTY_BASE"


@dataclass(frozen=True)
class Plan:
    """What goes in. `images`: their bytes by name; `requirements`: pip's text by name; `npm`: integrity by package;
    `debian`: packages whose dependencies come too.
    """

    images: dict[str, int] = field(default_factory=dict)
    requirements: dict[str, str] = field(default_factory=dict)
    npm: dict[str, str] = field(default_factory=dict)
    debian: list[str] = field(default_factory=list)


def plan(
    settings: Settings,
    models: Sequence[str],
    profiles: Sequence[str],
    more: Sequence[str] = (),
    debian: Sequence[str] = (),
    *,
    images: bool = True,
    search: bool = False,
) -> Plan:
    """Return what goes into a bundle: the images of the composed stack (with `images`) and `more` by name, packages
    (with `search` Ray's too).

    Raises NotComposed, ImageNotInEngine, ProgramMissing, UnknownModel or InvalidModelFile.
    """
    names = [*(images_of(place_of(settings), profiles) if images else ()), *more]
    sizes = {name: int(engine.find_image(name)["Size"]) for name in sorted(set(names))}
    sets = requirement_sets(settings, list(models), search=search)
    return Plan(sizes, sets, npm_packages(settings), list(debian))


def images_of(place: Place, profiles: Sequence[str]) -> list[str]:
    """Return the names of the images of some profiles, and of what environment images are built on."""
    return sorted({*image_names(place, profiles_of(place, profiles)), place.values()[BASE]})


def make(settings: Settings, folder: Path, wanted: Plan, progress: Progress = lambda _: None) -> tuple[Manifest, str]:
    """Gather all of it in a folder; return the manifest and its digest. Done again, it fetches what is new.

    Raises CommandFailed, ProgramMissing, DownloadCorrupt, ImageNotInEngine or PathNotWritable.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / NAME).unlink(missing_ok=True)  # whole again when it is there again
        remove_leftovers(folder)
        progress("the project, as committed")
        commit = take_project(settings.project, folder / PROJECT)
        gather_wheels(wanted.requirements, folder, progress)
        gather_npm(wanted.npm, folder, progress)
        gather_debian(wanted.debian, folder, progress)
        images = gather_images(wanted.images, folder, progress)
        progress("hash every file")
        manifest = Manifest(__version__, commit, hashed(folder), images)
        return manifest, write_manifest(folder, manifest)


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed `make` left: an image on its way from the engine, as large as it is, would be listed."""
    for path in folder.glob(f"{SAVING}*"):
        shutil.rmtree(path)
    (folder / f"{PROJECT}.lock").unlink(missing_ok=True)  # git's own, which it would not pass


def take_project(project: Path, file: Path) -> str:
    """Put what is committed, under its branch's name if it has one, into a file for `git clone`; return the commit."""
    git = ["git", "-C", str(project)]
    branch = run([*git, "rev-parse", "--symbolic-full-name", "HEAD"]).strip()  # without one, HEAD again
    run([*git, "bundle", "create", "--quiet", str(file), *sorted({"HEAD", branch})])
    return run([*git, "rev-parse", "HEAD"]).strip()
