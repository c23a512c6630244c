"""`sacristy bundle load`: first every byte is compared with the manifest, then anything is taken."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sacristy.images.copy import Progress
from sacristy.packages import NPM, WHEELS, brought_folder
from sacristy.settings import Settings
from sacristy.stack.bundle.images import load_image, name_there
from sacristy.stack.bundle.manifest import Manifest, read_manifest, verify
from sacristy.turns import turn
from sacristy.weights.atomic import writing

BESIDE = ".bundle-"


@dataclass(frozen=True)
class Loaded:
    """What a load did: images that the engine did not have, those that it had, and where packages lie now.

    `renamed`: what images are called here that were named by digest, by those names.
    """

    files: int
    bytes: int
    images_loaded: list[str]
    images_present: list[str]
    packages: str
    commit: str
    renamed: dict[str, str]


def check(folder: Path, expected: str = "", advance: Callable[[int], None] = lambda _: None) -> Manifest:
    """Return the manifest of a bundle of which every byte is sound. Raises NoBundle or BundleDamaged."""
    manifest = read_manifest(folder, expected)
    verify(folder, manifest, advance)
    return manifest


def load(settings: Settings, folder: Path, manifest: Manifest, progress: Progress, *, images: bool = True) -> Loaded:
    """Bring a bundle that was checked to this machine: images into the engine, packages into the home folder.

    Done again, it changes nothing. Raises BundleDamaged, CommandFailed, ProgramMissing or PathNotWritable.
    """
    loaded: list[str] = []
    present: list[str] = []
    for image in manifest.images if images else ():
        progress(f"{image.name}, {image.bytes / 1e6:,.0f} MB")
        (loaded if load_image(image, folder) else present).append(name_there(image.name))
    progress("packages")
    target = brought_folder(settings)
    _bring(folder, target)
    names = {image.name: name_there(image.name) for image in manifest.images if images}
    renamed = {name: here for name, here in names.items() if name != here}
    return Loaded(len(manifest.files), manifest.bytes, loaded, present, str(target), manifest.commit, renamed)


def _bring(folder: Path, target: Path) -> None:
    """Copy the packages beside their place, then put them there, so that nobody finds half of them."""
    with writing(target):
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with turn(target.with_name("bundle.lock"), "the packages of a bundle"):
            for left in target.parent.glob(f"{BESIDE}*"):  # by a load that was killed: as large as the packages are
                shutil.rmtree(left)
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=BESIDE) as temporary:
                new, old = Path(temporary) / "new", Path(temporary) / "old"
                for name in (WHEELS, NPM):
                    shutil.copytree(folder / name, new / name)
                if target.exists():
                    target.rename(old)
                new.rename(target)
