"""What a training Job runs: the environment image of the model's lock, with the code of one commit and its data on top.

Composed like every image of ours, without an engine: the same commit gives the same digest, and only new layers are
sent. It lies in the repository of its environment, whose layers it shares.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from sacristy.datasets import find, read_pointer
from sacristy.errors import DataFileChanged, DataFileMissing, ImageNotFound, NoTrainingImage, UncommittedCode
from sacristy.images.base import Base, open_base, repository_of, tag_of
from sacristy.images.layers import APP, Member, write_layer
from sacristy.images.manifest import (
    BASE_DIGEST,
    CONFIG,
    LABEL,
    LAYER,
    PART,
    Descriptor,
    described,
    image_config,
    image_manifest,
    timestamp,
)
from sacristy.images.registry import Registry
from sacristy.images.wheelhouse import Variant
from sacristy.project import Model
from sacristy.settings import Settings
from sacristy.sources import EXPORT, Files, commit_time, describe, exported, files_at
from sacristy.weights.fetch import digest_of

PACKAGE = "sacristy"


@dataclass(frozen=True)
class TrainingImage:
    """An image in a registry, of the code at a commit. `sent`: bytes of layers that the registry did not have."""

    repository: str
    digest: str
    commit: str
    sent: int


def push_training_image(settings: Settings, model: Model, registry: Registry) -> TrainingImage:
    """Compose the image in which a model is trained as it is committed, and bring it into the registry.

    The tag `train-MODEL` is moved to it, so that the registry keeps the newest. Raises UncommittedCode,
    NoTrainingImage, DataFileMissing, DataFileChanged, or what the registry raises.
    """
    commit = require_committed(settings.project, model.name)
    base = training_base(registry, model, Variant(settings.serving_variant))
    files = files_at(settings.project, commit, code_paths(model.name))
    layers, sent = [], 0
    for part, members in parts(settings, model.name, commit, files):
        layer, new = _put_layer(registry, base.repository, part, members)
        layers.append(layer)
        sent += layer.size if new else 0
    created = commit_time(settings.project, commit)
    facts = labels(model, commit, base) | {"org.opencontainers.image.created": timestamp(created)}
    config = image_config(layers, facts, created, base.config)
    registry.put_blob(base.repository, described(config, CONFIG).digest, config)
    manifest = image_manifest(described(config, CONFIG), [*base.layers, *layers], facts)
    digest = registry.put_manifest(base.repository, manifest)
    registry.tag(base.repository, f"train-{model.name}", digest)
    return TrainingImage(base.repository, digest, commit, sent)


def code_paths(model: str) -> tuple[str, ...]:
    """Return what a training runs of the project: all of the package, and the model's folder."""
    return (PACKAGE, f"models/{model}")


def require_committed(project: Path, model: str) -> str:
    """Return the last commit, which must be what the work tree is. Raises UncommittedCode."""
    found = describe(project, code_paths(model))
    if found.dirty:
        raise UncommittedCode(model=model, commit=found.commit[:10] or "there is none")
    return found.commit


def training_base(registry: Registry, model: Model, variant: Variant) -> Base:
    """Return the environment image with what training needs. Raises NoTrainingImage."""
    repository, tag = repository_of(model.lock_hash), tag_of(variant, train=True)
    try:
        return open_base(registry, repository, tag)
    except ImageNotFound:
        raise NoTrainingImage(reference=f"{repository}:{tag}", model=model.name) from None


def parts(settings: Settings, model: str, commit: str, files: Files) -> Iterator[tuple[str, list[Member]]]:
    """Yield our layers, the least often changed first: the data, if the model has any, then the code."""
    data = data_member(settings, model)
    if data:
        yield "data", [data]
    told = exported(commit, files)
    code = [Member(f"{APP}/{name}", len(file.content), file.content, file.executable) for name, file in files.items()]
    yield "code", [*code, Member(f"{APP}/{EXPORT}", len(told), told)]


def data_member(settings: Settings, model: str) -> Member | None:
    """Return a model's data as it lies here; None if it has none, or its environment brings it.

    Raises DataFileMissing or DataFileChanged.
    """
    pointer = read_pointer(settings, model)
    if pointer is None:
        return None
    found = find(pointer)
    if found.state == "changed":
        raise DataFileChanged(model=model, path=found.path, found=found.found, expected=pointer.md5)
    if found.state == "missing":
        if pointer.shipped:
            return None
        places = ", ".join(map(str, pointer.copies))
        raise DataFileMissing(model=model, path=found.path, places=places or "no other place")
    inside = pointer.path.relative_to(settings.project)
    return Member(f"{APP}/{inside}", pointer.size, lambda: cast("BinaryIO", found.path.open("rb")))


def labels(model: Model, commit: str, base: Base) -> dict[str, str]:
    """Return what the image says of itself."""
    return {
        "org.opencontainers.image.title": f"training of {model.name}",
        "org.opencontainers.image.revision": commit,
        BASE_DIGEST: base.digest,
        f"{LABEL}model": model.name,
        f"{LABEL}lock": model.lock_hash,
    }


def _put_layer(registry: Registry, repository: str, part: str, members: list[Member]) -> tuple[Descriptor, bool]:
    """Bring a layer into a repository; return it, and whether it was new there."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "layer.tar"
        with path.open("wb") as out:
            write_layer(out, members)
        found = Descriptor(LAYER, digest_of(path), path.stat().st_size, {PART: part})
        return found, registry.put_blob(repository, found.digest, path)
