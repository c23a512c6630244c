"""What a model's image lies on: the environment image of its Pipfile.lock, one repository for each lock."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sacristy import engine
from sacristy.errors import BaseNotFound, ImageNotFound
from sacristy.images.archive import import_archive
from sacristy.images.copy import CopyReport, Progress, copy_image
from sacristy.images.manifest import BASE, Descriptor, Json, descriptor
from sacristy.images.registry import Registry
from sacristy.images.wheelhouse import Variant, fill, lock_name, place_of
from sacristy.project import Model
from sacristy.settings import Settings
from sacristy.tracking.runs import RunRecord
from sacristy.turns import turn

DOCKERFILE = Path("deploy") / "images" / "serving" / "Dockerfile"
PREFIX = "env-"
NOTED = "base_image"  # of the run, below `sacristy`: a digest, or empty for no base
DEVICES = {Variant.CPU: "void", Variant.CUDA: "all"}


@dataclass(frozen=True)
class Base:
    """An environment image: where it is, its configuration, and its layers, which name their repository."""

    repository: str
    digest: str
    config: Json
    layers: tuple[Descriptor, ...]

    @property
    def reference(self) -> str:
        """Return how people name it."""
        return f"{self.repository}@{self.digest}"


def repository_of(lock_hash: str) -> str:
    """Return the repository of the environment images of a lock (its SHA-256 in hexadecimal)."""
    return f"{PREFIX}{lock_hash[:16]}"


def is_environment(repository: str) -> bool:
    """Say whether a repository holds environment images, and no versions of a model."""
    return repository.startswith(PREFIX)


def tag_of(variant: Variant, *, train: bool = False) -> str:
    """Return the tag of an environment image in its repository."""
    return f"{variant}-train" if train else str(variant)


def open_base(registry: Registry, repository: str, reference: str) -> Base:
    """Return an environment image by tag or digest. Raises ImageNotFound."""
    digest = registry.resolve(repository, reference).digest
    shown = f"{repository}@{digest}"
    layers = [descriptor(entry, shown) for entry in registry.manifest(repository, digest)["layers"]]
    marked = tuple(replace(layer, annotations={**layer.annotations, BASE: repository}) for layer in layers)
    return Base(repository, digest, registry.config(repository, digest), marked)


def build_environment(
    settings: Settings,
    model: Model,
    registry: Registry,
    *,
    base: str = "",
    variant: Variant = Variant.CPU,
    train: bool = False,
    progress: Progress = lambda _: None,
) -> Base:
    """Build the environment image of a model's lock with the Docker engine, and bring it into a registry.

    The tag `cpu` or `cuda` (with `-train`) is moved to it. Raises ImageNotInEngine, LocalWheelMissing, CommandFailed,
    ProgramMissing, StillTaken (another process builds the same), or what the registry raises.
    """
    named = base or settings.serving_base
    found = engine.find_image(named)
    repository, tag = repository_of(lock_name(model.lock)), tag_of(variant, train=train)
    folder = place_of(settings, model.lock, variant, train=train)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with turn(folder.with_name(f"{folder.name}.lock"), f"the environment image {repository}:{tag}"):
        progress("fetching wheels")
        fill(folder, settings, model.lock, variant, train=train)
        progress(f"building {repository}:{tag}")
        arguments = build_arguments(named, found, model, variant, repository)
        engine.build_image(folder, settings.project / DOCKERFILE, f"{repository}:{tag}", arguments)
        with tempfile.TemporaryDirectory(dir=folder) as place:
            archive = Path(place) / "image.tar"
            engine.save_image(f"{repository}:{tag}", archive)
            digest = import_archive(archive, registry, repository, progress)
        registry.tag(repository, tag, digest)
    return open_base(registry, repository, digest)


def build_arguments(
    named: str, found: dict[str, Any], model: Model, variant: Variant, repository: str
) -> dict[str, str]:
    """Return the Dockerfile's arguments: the base as it was named, and the digest that it had."""
    digests = found.get("RepoDigests") or []
    return {
        "BASE": named,
        "BASE_NAME": named.partition("@")[0],
        "BASE_DIGEST": digests[0].partition("@")[2] if digests else found["Id"],
        "TITLE": repository,
        "LOCK": model.lock_hash,
        "VARIANT": str(variant),
        "DEVICES": DEVICES[variant],
    }


def base_of(
    run: RunRecord, variant: Variant, registry: Registry, built: Registry, *, anew: bool = False
) -> tuple[Base, Registry] | None:
    """Return the environment image that a run's image lies on, and where it was found; None for no base.

    The run remembers it from its first build on, so that it gives the same digest everywhere; a first build (or one
    anew) takes what the tag says now. Raises BaseNotFound if the remembered one is gone.
    """
    noted = None if anew else (run.document.get("sacristy") or {}).get(NOTED)
    if noted == "":
        return None
    repository = repository_of(run.lock)
    for there in (built, registry) if noted else (registry, built):
        with suppress(ImageNotFound):
            return open_base(there, repository, noted or str(variant)), there
    if noted:
        raise BaseNotFound(reference=f"{repository}@{noted}", model=run.model)
    return None


def bring_here(base: Base, registry: Registry, built: Registry, progress: Progress = lambda _: None) -> None:
    """Make this machine have an environment image that the registry has: once for each lock."""
    if registry is not built:
        copy_base(base, registry, built, progress)


def copy_base(base: Base, source: Registry, target: Registry, progress: Progress = lambda _: None) -> CopyReport:
    """Copy an environment image. Its gigabyte is not written again where both registries are folders of one disk."""
    for layer in base.layers:
        if not target.has_blob(base.repository, layer.digest):
            target.adopt(base.repository, layer.digest, source)
    return copy_image(source, target, base.repository, base.digest, progress)
