"""Reading single files out of an image that lies in a registry: its baseline, its lock, its code."""

from __future__ import annotations

import tarfile

from sacristy.errors import InvalidImage
from sacristy.images.manifest import MAX_DOCUMENT, PART, Descriptor, Json, descriptor, read_document
from sacristy.images.registry import Registry
from sacristy.weights.verified import chunks

BASELINE = "app/baseline.json"
LOCK = "app/model/Pipfile.lock"


def baseline_of(registry: Registry, repository: str, digest: str) -> Json:
    """Return an image's baseline. Raises ImageNotFound, BlobNotFound, BlobDamaged or InvalidImage."""
    return read_document(read_member(registry, repository, digest, "baseline", BASELINE), f"{repository}@{digest}")


def lock_of(registry: Registry, repository: str, digest: str) -> Json:
    """Return the Pipfile.lock that an image carries. Raises as baseline_of."""
    return read_document(read_member(registry, repository, digest, "model", LOCK), f"{repository}@{digest}")


def read_member(registry: Registry, repository: str, digest: str, part: str, name: str) -> bytes:
    """Return one file of an image's layer of a part (runtime, model, weights, baseline), verified."""
    reference = f"{repository}@{digest}"
    for layer in layers_of(registry, repository, digest):
        if layer.annotations.get(PART) != part:
            continue
        with registry.open_blob(repository, layer.digest) as source:
            found = _find(source, name, reference)
            for _ in chunks(source):  # reaching the end is what verifies
                pass
        if found is not None:
            return found
    raise InvalidImage(reference=reference, reason=f"it holds no {name}")


def layers_of(registry: Registry, repository: str, digest: str) -> list[Descriptor]:
    """Return an image's layers, lowest first."""
    reference = f"{repository}@{digest}"
    return [descriptor(entry, reference) for entry in registry.manifest(repository, digest)["layers"]]


def _find(source: object, name: str, reference: str) -> bytes | None:
    try:
        with tarfile.open(fileobj=source, mode="r|") as archive:  # type: ignore[call-overload]
            for member in archive:
                if member.name != name or not member.isreg():
                    continue
                if member.size > MAX_DOCUMENT:
                    raise InvalidImage(reference=reference, reason=f"{name} of {member.size} bytes")
                content = archive.extractfile(member)
                return bytes(content.read()) if content else None
    except tarfile.TarError as error:
        raise InvalidImage(reference=reference, reason=f"a layer that is no tar: {error}") from None
    return None
