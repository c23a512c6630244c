"""Weights that a version does not carry: `weights = "ceph"` in its model.toml. Its labels name them by digest.

They name the layers too that the weights would be, so that an engine which takes only layers can be given them.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from sacristy.errors import InvalidImage, InvalidName
from sacristy.images.archive import Added
from sacristy.images.layers import Member, weights_layers, write_layer
from sacristy.images.manifest import LAYER, PART, WEIGHTS, WEIGHTS_LAYERS, Descriptor, Json, canonical, descriptor
from sacristy.images.registry import Registry
from sacristy.names import parse_digest, parse_file
from sacristy.sources import Files
from sacristy.tracking.runs import WeightsFile
from sacristy.weights.store import Store


@dataclass(frozen=True)
class Fetched:
    """`files`: what a server needs beside its image; `layers`: those that layers.weights_layers makes of them."""

    files: tuple[WeightsFile, ...]
    layers: tuple[Descriptor, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def labels(self) -> dict[str, str]:
        """What an image says of them."""
        files = [{"name": file.name, "digest": file.digest, "size": file.size} for file in self.files]
        layers = [{"digest": layer.digest, "size": layer.size} for layer in self.layers]
        return {WEIGHTS: canonical(files).decode(), WEIGHTS_LAYERS: canonical(layers).decode()}


def are_fetched(sources: Files, model: str) -> bool:
    """Say whether a version of this code leaves its weights in the store."""
    file = sources.get(f"models/{model}/model.toml")
    try:
        return bool(file and tomllib.loads(file.content.decode()).get("weights") == "ceph")
    except ValueError:  # it is told where the file is used
        return False


def fetched_of(manifest: Json, reference: str) -> Fetched | None:
    """Return the weights that an image does not carry, or None: it carries them. Raises InvalidImage."""
    said = manifest.get("annotations") or {}
    if WEIGHTS not in said:
        return None
    try:
        files = tuple(_file(facts) for facts in json.loads(said[WEIGHTS]))
        layers = json.loads(said.get(WEIGHTS_LAYERS, "[]"))
    except (ValueError, TypeError, KeyError, InvalidName) as error:
        raise InvalidImage(reference=reference, reason=f"no list of weights in {WEIGHTS}: {error}") from None
    return Fetched(files, tuple(descriptor({"mediaType": LAYER} | facts, reference) for facts in layers))


def with_weights(registry: Registry, repository: str, digest: str, fetched: Fetched, store: Store) -> Added:
    """Return what an engine is to put on top of an image, so that the weights are in it after all.

    Its bytes are read from the store when they are asked for. Raises what the registry raises.
    """
    config = registry.config(repository, digest)
    history = [*(config.get("history") or []), *({"created_by": "sacristy weights"} for _ in fetched.layers)]
    diff_ids = [*config["rootfs"]["diff_ids"], *(layer.digest for layer in fetched.layers)]
    content = canonical(config | {"rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": history})
    members = dict(zip(fetched.layers, weights_layers(store, fetched.files), strict=True))

    @contextmanager
    def written(layer: Descriptor) -> Iterator[BinaryIO]:
        with tempfile.TemporaryFile() as file:
            write_layer(file, members[layer])
            file.seek(0)
            yield cast("BinaryIO", file)

    return Added(content, fetched.layers, written)


def measured(members: Sequence[Member]) -> Descriptor:
    """Return what a layer would be, having read and verified its members. Raises BlobNotFound or BlobDamaged."""
    meter = _Meter()
    write_layer(meter, members)
    return Descriptor(LAYER, f"sha256:{meter.hash.hexdigest()}", meter.size, {PART: "weights"})


class _Meter:
    """Takes a layer's bytes and keeps none."""

    def __init__(self) -> None:
        self.hash, self.size = hashlib.sha256(), 0

    def write(self, data: bytes | memoryview) -> int:
        self.hash.update(data)
        self.size += len(data)
        return len(data)


def _file(facts: Any) -> WeightsFile:
    return WeightsFile(parse_file(facts["name"]), parse_digest(facts["digest"]), int(facts["size"]), "weights")
