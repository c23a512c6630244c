"""The Docker engine's archives: an image of the engine into a registry, and an image of a registry into the engine.

An archive is a tar of manifest.json, the configuration and the layers as plain tar files. Everything is checked on
the way in: a layer must be what the configuration says that it is.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from sacristy.errors import InvalidImage
from sacristy.images.copy import Progress
from sacristy.images.manifest import (
    CONFIG,
    LAYER,
    MAX_DOCUMENT,
    Descriptor,
    canonical,
    described,
    descriptor,
    image_manifest,
    read_document,
)
from sacristy.images.registry import Registry
from sacristy.weights.verified import chunks

MANIFEST_FILE = "manifest.json"


def import_archive(path: Path, registry: Registry, repository: str, progress: Progress = lambda _: None) -> str:
    """Bring the one image of an archive into a repository, its layers as they are, and return its digest.

    Raises InvalidImage, BlobDamaged, or what the registry raises.
    """
    with tarfile.open(path) as archive:
        content, layers = _contents(archive, str(path))
        config = read_document(content, str(path))
        descriptors = []
        for name, digest in zip(layers, config["rootfs"]["diff_ids"], strict=True):
            with _member(archive, name, str(path)) as (stream, size):
                progress(f"base layer, {size:,} bytes")
                registry.put_blob(repository, digest, cast("BinaryIO", stream))
            descriptors.append(Descriptor(LAYER, digest, size))
    described_config = described(content, CONFIG)
    registry.put_blob(repository, described_config.digest, content)
    facts = config.get("config", {}).get("Labels") or {}
    return registry.put_manifest(repository, image_manifest(described_config, descriptors, facts))


@dataclass(frozen=True)
class Added:
    """Layers to put on top of an image. `config`: its configuration with them; `open`: their bytes, one by one."""

    config: bytes
    layers: Sequence[Descriptor]
    open: Callable[[Descriptor], AbstractContextManager[BinaryIO]]


def export_archive(
    registry: Registry,
    repository: str,
    digest: str,
    tag: str,
    out: BinaryIO,
    *,
    held: Sequence[str] = (),
    added: Added | None = None,
) -> None:
    """Write an image as an archive that the engine loads under a tag.

    `held`: the lowest layers, which the engine has; it needs only their names. Every layer is verified while it is
    read, and verified again by the engine. The composed stack's guard lets such archives pass and no others
    (stack/composed/archive_rules.py). Raises ImageNotFound, BlobNotFound, BlobDamaged or InvalidImage.
    """
    manifest = registry.manifest(repository, digest)
    reference = f"{repository}@{digest}"
    layers = [descriptor(entry, reference) for entry in manifest["layers"]]
    if any(layer.media_type != LAYER for layer in layers):
        raise InvalidImage(reference=reference, reason="a layer that is no plain tar")
    config = described(added.config, CONFIG) if added else descriptor(manifest["config"], reference)
    on_top = list(added.layers) if added else []
    names = [f"{layer.digest.removeprefix('sha256:')}.tar" for layer in [*layers, *on_top]]
    config_name = f"{config.digest.removeprefix('sha256:')}.json"
    entry = {"Config": config_name, "RepoTags": [tag], "Layers": names}
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT) as archive:
        for name, layer in dict(zip(names, [*layers, *on_top], strict=True)).items():
            if layer.digest not in held:
                own = added.open(layer) if added and layer in on_top else registry.open_blob(repository, layer.digest)
                with own as stream:
                    _add(archive, name, stream, layer.size)
        kept = io.BytesIO(added.config) if added else registry.open_blob(repository, config.digest)
        with kept as stream:
            _add(archive, config_name, stream, config.size)
        documents = canonical([entry])
        _add(archive, MANIFEST_FILE, cast("BinaryIO", io.BytesIO(documents)), len(documents))


def lowest_held(wanted: Sequence[str], images: Sequence[Sequence[str]]) -> list[str]:
    """Return the lowest layers of an image that some other image has too, in the same order."""
    shared = ([pair[0] for pair in takewhile(_same, zip(wanted, layers, strict=False))] for layers in images)
    return max(shared, key=len, default=[])


def _same(pair: tuple[str, str]) -> bool:
    return pair[0] == pair[1]


def _contents(archive: tarfile.TarFile, reference: str) -> tuple[bytes, list[str]]:
    """Return the configuration's bytes and the names of the layers."""
    try:
        (entry,) = json.loads(_read(archive, MANIFEST_FILE, reference))
        layers = [str(name) for name in entry["Layers"]]
        return _read(archive, str(entry["Config"]), reference), layers
    except (ValueError, KeyError, TypeError):
        raise InvalidImage(reference=reference, reason="no archive of one image") from None


def _read(archive: tarfile.TarFile, name: str, reference: str) -> bytes:
    with _member(archive, name, reference) as (stream, size):
        if size > MAX_DOCUMENT:
            raise InvalidImage(reference=reference, reason=f"a document of {size} bytes")
        return stream.read()


@contextmanager
def _member(archive: tarfile.TarFile, name: str, reference: str) -> Iterator[tuple[IO[bytes], int]]:
    """Open a member; the engine links layers that occur twice."""
    try:
        stream = archive.extractfile(name)
    except KeyError:
        stream = None
    if stream is None:
        raise InvalidImage(reference=reference, reason=f"{name!r} is not in the archive")
    with stream:
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        yield stream, size


def _add(archive: tarfile.TarFile, name: str, stream: BinaryIO, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size = size
    archive.addfile(info, stream)
    for _ in chunks(stream):  # reaching the end is what verifies
        pass


def diff_ids(config: dict[str, Any], reference: str) -> list[str]:
    """Return the digests of an image's layers as plain tar files. Raises InvalidImage."""
    try:
        return [str(digest) for digest in config["rootfs"]["diff_ids"]]
    except (KeyError, TypeError):
        raise InvalidImage(reference=reference, reason="its configuration names no layers") from None
