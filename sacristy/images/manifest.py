"""The JSON documents of an image (OCI image-spec 1.1), composed and checked by pure functions.

Documents are written canonically (sorted keys, no spaces), so equal facts give equal bytes and one digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sacristy.errors import InvalidImage, InvalidName
from sacristy.names import parse_digest

Json = dict[str, Any]

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
PART = "dev.sacristy.part"  # annotation of our own layers: runtime, model, weights or baseline
BASE = "dev.sacristy.base"  # annotation of a base's layers: the repository that they come from
LABEL = "dev.sacristy."
WEIGHTS = LABEL + "weights"  # label: the files that a version does not carry, to be fetched where it runs
WEIGHTS_LAYERS = LABEL + "weights-layers"  # label: the layers that they would be
BASE_DIGEST = "org.opencontainers.image.base.digest"
BASE_NAME = "org.opencontainers.image.base.name"
MAX_DOCUMENT = 4 << 20  # bytes; registries refuse larger manifests too
PLATFORM = {"architecture": "amd64", "os": "linux"}  # without a base: fixed, so that every machine agrees

COMMAND = [
    "python",
    "-m",
    "gunicorn",
    "--config",
    "python:sacristy.serving.gunicorn",
    "sacristy.serving.app:create_app()",
]
RUNTIME: Json = {
    "Cmd": COMMAND,
    "Env": ["PYTHONPATH=/app", "PYTHONUNBUFFERED=1"],
    "ExposedPorts": {"8080/tcp": {}},
    "User": "65532:65532",
    "WorkingDir": "/app",
}


@dataclass(frozen=True)
class Descriptor:
    """What a document says of a blob: its type, digest and size in bytes."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    def as_json(self) -> Json:
        """Return it as it stands in a document."""
        facts: Json = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        return facts | {"annotations": dict(self.annotations)} if self.annotations else facts


def canonical(document: Any) -> bytes:
    """Return the one way to write a document. Raises ValueError for NaN and infinities."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def digest_of(content: bytes) -> str:
    """Return the digest of bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def described(content: bytes, media_type: str) -> Descriptor:
    """Return the descriptor of bytes."""
    return Descriptor(media_type, digest_of(content), len(content))


def labels(baseline: Json, created: int) -> dict[str, str]:
    """Return the main facts of a baseline as labels. `created` in seconds since 1970: the commit's time."""
    facts = {key: baseline[key] for key in ("model", "run", "version", "sources", "lock")}
    facts |= {"dirty": str(baseline["dirty"]).lower(), "data": (baseline["data"] or {}).get("digest", "")}
    return {
        "org.opencontainers.image.title": str(baseline["model"]),
        "org.opencontainers.image.version": str(baseline["version"]),
        "org.opencontainers.image.revision": str(baseline["commit"]),
        "org.opencontainers.image.created": timestamp(created),
        **({BASE_DIGEST: str(baseline["base_image"])} if baseline.get("base_image") else {}),
        **{LABEL + key: str(value) for key, value in facts.items()},
    }


def timestamp(seconds: int) -> str:
    """Return seconds since 1970 as RFC 3339 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def image_config(
    layers: Sequence[Descriptor], facts: Mapping[str, str], created: int, base: Json | None = None
) -> bytes:
    """Return the configuration of an image whose layers are plain tar files: their digests are their diff ids.

    `base`: the configuration of the image below; its layers come first, and what it says holds where ours says nothing.
    """
    history = [
        {"created": timestamp(created), "created_by": f"sacristy {layer.annotations.get(PART, 'layer')}"}
        for layer in layers
    ]
    below = base or {}
    return canonical(
        PLATFORM
        | {key: below[key] for key in PLATFORM if key in below}
        | {
            "created": timestamp(created),
            "config": _runtime(below.get("config") or {}) | {"Labels": dict(facts)},
            "rootfs": {"type": "layers", "diff_ids": _diff_ids(below) + [layer.digest for layer in layers]},
            "history": [*(below.get("history") or []), *history],
        }
    )


def _runtime(below: Json) -> Json:
    """Return how an image runs: ours, with the environment variables and the health check of the image below."""
    ours = [entry.partition("=")[0] for entry in RUNTIME["Env"]]
    kept = [entry for entry in below.get("Env") or [] if entry.partition("=")[0] not in ours]
    health = {"Healthcheck": below["Healthcheck"]} if below.get("Healthcheck") else {}
    return RUNTIME | health | {"Env": kept + RUNTIME["Env"]}


def _diff_ids(below: Json) -> list[str]:
    return [str(digest) for digest in (below.get("rootfs") or {}).get("diff_ids") or []]


def image_manifest(config: Descriptor, layers: Sequence[Descriptor], facts: Mapping[str, str]) -> bytes:
    """Return the manifest, whose digest is the image's."""
    return canonical(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.as_json(),
            "layers": [layer.as_json() for layer in layers],
            "annotations": dict(facts),
        }
    )


def has_base(manifest: Json) -> bool:
    """Say whether an image lies on an environment image, and so can be a container."""
    return any(BASE in (layer.get("annotations") or {}) for layer in manifest["layers"])


def read_document(content: bytes, reference: str) -> Json:
    """Return a JSON object, or raise InvalidImage."""
    if len(content) > MAX_DOCUMENT:
        raise InvalidImage(reference=reference, reason=f"a document of {len(content)} bytes")
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise InvalidImage(reference=reference, reason="a document that is not JSON") from None
    if not isinstance(document, dict):
        raise InvalidImage(reference=reference, reason="a document that is not an object")
    return document


def read_manifest(content: bytes, reference: str) -> Json:
    """Return a manifest whose descriptors are well formed, or raise InvalidImage."""
    manifest = read_document(content, reference)
    if manifest.get("schemaVersion") != 2 or not isinstance(manifest.get("layers"), list):
        raise InvalidImage(reference=reference, reason="not an image manifest of schema 2")
    for blob in [manifest.get("config"), *manifest["layers"]]:
        descriptor(blob, reference)
    return manifest


def blobs(manifest: Json) -> list[Descriptor]:
    """Return a checked manifest's blobs, each once: the configuration, then the layers."""
    found = {blob["digest"]: descriptor(blob, "") for blob in [manifest["config"], *manifest["layers"]]}
    return list(found.values())


def descriptor(facts: Any, reference: str) -> Descriptor:
    """Return a descriptor as it stands in a document, or raise InvalidImage."""
    try:
        size, annotations = facts["size"], facts.get("annotations") or {}
        if type(size) is not int or size < 0 or not isinstance(annotations, dict):
            raise ValueError
        return Descriptor(str(facts["mediaType"]), parse_digest(facts["digest"]), size, annotations)
    except (KeyError, TypeError, ValueError, AttributeError, InvalidName):
        raise InvalidImage(reference=reference, reason="a descriptor without type, digest or size") from None
