"""Images of a bundle: from the engine into one OCI layout, where shared layers lie once, and from it into another."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from sacristy import engine
from sacristy.errors import BundleDamaged, ImageNotFound, ImageNotInEngine
from sacristy.images.archive import diff_ids, export_archive, import_archive, lowest_held
from sacristy.images.copy import Progress
from sacristy.images.garbage import collect
from sacristy.images.layout import FolderRegistry
from sacristy.stack.bundle.manifest import BundledImage

IMAGES, SAVING = "images", ".save-"


def gather_images(names: Iterable[str], folder: Path, progress: Progress) -> list[BundledImage]:
    """Bring images of the engine into a bundle; what is in it already stays, what is not asked for goes.

    Raises ImageNotInEngine, CommandFailed, ProgramMissing or PathNotWritable.
    """
    layout = FolderRegistry(folder)
    found = [_gather(layout, name, folder, progress) for name in sorted(set(names))]
    for tag in set(layout.tags(IMAGES)) - {tag_of(image.name) for image in found}:
        layout.untag(IMAGES, tag)
    for digest in set(layout.layout(IMAGES).index().manifests) - {image.digest for image in found}:
        layout.delete_manifest(IMAGES, digest)
    collect(layout, IMAGES, {}, grace_s=0)
    return found


def load_image(image: BundledImage, folder: Path) -> bool:
    """Bring an image of a bundle into the engine under its name there; say whether it was not there before.

    Raises BundleDamaged if the engine knows it by another identity then.
    """
    name = name_there(image.name)
    with suppress(ImageNotInEngine):
        if engine.find_image(name)["Id"] == image.id:
            return False
    layout = FolderRegistry(folder)
    layers = diff_ids(layout.config(IMAGES, image.digest), image.name)
    held = lowest_held(layers, engine.layers_of_images())
    engine.load_archive(lambda out: export_archive(layout, IMAGES, image.digest, name, out, held=held))
    found = engine.find_image(name)["Id"]
    if found != image.id:
        raise BundleDamaged(path=name, reason=f"the engine knows it as {found}, not {image.id}")
    return True


def name_there(name: str) -> str:
    """Return the name that an image is loaded under: without a digest, which engines learn from registries only."""
    named, at, digest = name.partition("@")
    if not at or ":" in named.rpartition("/")[2]:
        return named
    return f"{named}:{digest.replace(':', '-')[:19]}"


def tag_of(name: str) -> str:
    """Return the tag under which an image of that name lies in a bundle."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name).lstrip(".-")[:128]


def _gather(layout: FolderRegistry, name: str, folder: Path, progress: Progress) -> BundledImage:
    known = engine.find_image(name)
    with suppress(ImageNotFound):
        digest = layout.resolve(IMAGES, tag_of(name)).digest
        if layout.manifest(IMAGES, digest)["config"]["digest"] == known["Id"]:
            progress(f"{name} is there")
            return BundledImage(name, known["Id"], digest, layout.size(IMAGES, digest))
    progress(f"{name}, {known['Size'] / 1e6:,.0f} MB")
    with tempfile.TemporaryDirectory(dir=folder, prefix=SAVING) as temporary:
        archive = Path(temporary) / "image.tar"
        engine.save_image(name, archive)
        digest = import_archive(archive, layout, IMAGES)
    layout.tag(IMAGES, tag_of(name), digest)
    return BundledImage(name, layout.manifest(IMAGES, digest)["config"]["digest"], digest, layout.size(IMAGES, digest))
