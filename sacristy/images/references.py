"""Which weights the versions in a registry were made from, as their own baselines say."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any

from sacristy.images.manifest import blobs
from sacristy.images.registry import Registry

BASELINE = "app/baseline.json"
LARGEST = 8 << 20  # bytes of a layer that can be the baseline's


def version_weights(registry: Registry) -> Iterator[tuple[str, str]]:
    """Yield (`model:version`, digest) for every weights file of every version. Raises what reading images raises."""
    for model in registry.repositories():
        for version, digest in registry.versions(model).items():
            for file in _baseline(registry, model, digest).get("weights", []):
                yield f"{model}:{version}", file["digest"]


def _baseline(registry: Registry, model: str, digest: str) -> dict[str, Any]:
    """Return what the baseline's layer says: one of the last, and small."""
    for layer in reversed(list(blobs(registry.manifest(model, digest)))):
        if layer.size > LARGEST:
            continue
        with registry.open_blob(model, layer.digest) as source:
            content = source.read()
        found = _member(content)
        if found is not None:
            return found
    return {}


def _member(content: bytes) -> dict[str, Any] | None:
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            file = archive.extractfile(BASELINE)
            return dict(json.load(file)) if file else None
    except (tarfile.TarError, KeyError):
        return None
