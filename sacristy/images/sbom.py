"""What is in an image, as a CycloneDX 1.6 document made from the lock that it carries, kept beside it.

The document is an artifact of its own (an OCI manifest whose `subject` is the image) under the tag sha256-<hex>.sbom,
where cosign looks for it too; the image gets no layer and keeps its digest. No time and no random number is in it:
the same image has the same document everywhere.
"""

from __future__ import annotations

import re
import uuid
from typing import Any

from sacristy.errors import ImageNotFound
from sacristy.images.manifest import (
    MANIFEST,
    MAX_DOCUMENT,
    Descriptor,
    Json,
    canonical,
    described,
    descriptor,
    read_document,
)
from sacristy.images.reading import lock_of
from sacristy.images.registry import Registry
from sacristy.weights.verified import read_whole

MEDIA_TYPE = "application/vnd.cyclonedx+json"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
EMPTY = b"{}"
SCOPES = {"default": "required", "cuda": "optional"}  # categories of the lock that can be in an image


def document(lock: Json, model: str, version: str, digest: str) -> Json:
    """Return the packages of a Pipfile.lock as CycloneDX: name, version, purl and the hashes that are accepted."""
    packages = {name: (entry, scope) for part, scope in reversed(SCOPES.items()) for name, entry in _part(lock, part)}
    components = [_component(name, entry, scope) for name, (entry, scope) in sorted(packages.items())]
    purl = f"pkg:oci/{model}@{digest.replace(':', '%3A')}"
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, purl)}",
        "version": 1,
        "metadata": {
            "component": {"type": "container", "bom-ref": purl, "name": model, "version": version, "purl": purl}
        },
        "components": components,
        "dependencies": [{"ref": purl, "dependsOn": [component["bom-ref"] for component in components]}],
    }


def sbom_tag(digest: str) -> str:
    """Return the tag of an image's document."""
    return digest.replace(":", "-") + ".sbom"


def attach(registry: Registry, repository: str, digest: str) -> str:
    """Put an image's document beside it and return its manifest's digest. Doing it twice changes nothing."""
    version = registry.image(repository, digest).version
    content = canonical(document(lock_of(registry, repository, digest), repository, str(version), digest))
    found = registry.resolve(repository, digest)
    manifest = canonical(artifact(described(content, MEDIA_TYPE), found))
    made = described(manifest, MANIFEST).digest
    before = _attached(registry, repository, digest)
    if before != made:
        registry.put_blob(repository, described(EMPTY, EMPTY_TYPE).digest, EMPTY)
        registry.put_blob(repository, described(content, MEDIA_TYPE).digest, content)
        registry.put_manifest(repository, manifest)
        registry.tag(repository, sbom_tag(digest), made, expected=before)
    return made


def read(registry: Registry, repository: str, digest: str) -> Json | None:
    """Return the document that is kept beside an image, or None. Raises BlobNotFound, BlobDamaged or InvalidImage."""
    found = _attached(registry, repository, digest)
    if found is None:
        return None
    layer = descriptor(registry.manifest(repository, found)["layers"][0], repository)
    with registry.open_blob(repository, layer.digest) as source:
        return read_document(read_whole(source, MAX_DOCUMENT), repository)


def artifact(content: Descriptor, subject: Descriptor) -> Json:
    """Return the manifest of a document about an image, as OCI 1.1 keeps artifacts."""
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": MEDIA_TYPE,
        "config": described(EMPTY, EMPTY_TYPE).as_json(),
        "layers": [content.as_json()],
        "subject": Descriptor(subject.media_type, subject.digest, subject.size).as_json(),
    }


def _attached(registry: Registry, repository: str, digest: str) -> str | None:
    try:
        return registry.resolve(repository, sbom_tag(digest)).digest
    except ImageNotFound:
        return None


def _part(lock: Json, name: str) -> list[tuple[str, Json]]:
    return list((lock.get(name) or {}).items())


def _component(name: str, entry: Json, scope: str) -> Json:
    version = str(entry.get("version", "")).removeprefix("==")
    purl = f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}" + (f"@{version}" if version else "")
    component: dict[str, Any] = {"type": "library", "bom-ref": purl, "name": name, "purl": purl, "scope": scope}
    if version:
        component["version"] = version
    hashes = sorted(text.partition(":")[2] for text in entry.get("hashes") or [] if text.startswith("sha256:"))
    return component | ({"hashes": [{"alg": "SHA-256", "content": found} for found in hashes]} if hashes else {})
