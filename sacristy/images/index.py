"""index.json of an OCI image layout: which manifests there are, and which tags point at them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sacristy.images.manifest import INDEX, Descriptor, Json, canonical, descriptor, read_document

TAG = "org.opencontainers.image.ref.name"


@dataclass
class Index:
    """`manifests` by digest; `tags` with the digest each points at, which is always one of the manifests."""

    manifests: dict[str, Descriptor] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the file's bytes: one entry for each tag, and one for a manifest without any."""
        tagged = [(digest, tag) for tag, digest in self.tags.items()]
        untagged = [(digest, "") for digest in self.manifests if digest not in self.tags.values()]
        entries = [self._entry(digest, tag) for digest, tag in sorted(tagged + untagged)]
        return canonical({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})

    def remove(self, digest: str) -> None:
        """Forget a manifest and its tags."""
        self.manifests.pop(digest, None)
        self.tags = {tag: there for tag, there in self.tags.items() if there != digest}

    def _entry(self, digest: str, tag: str) -> Json:
        facts = self.manifests[digest]
        return Descriptor(facts.media_type, digest, facts.size, {TAG: tag} if tag else {}).as_json()


def read_index(path: Path) -> Index:
    """Read an index.json; no file is an empty index. Raises InvalidImage."""
    try:
        document = read_document(path.read_bytes(), str(path))
    except FileNotFoundError:
        return Index()
    index = Index()
    for entry in document.get("manifests") or []:
        found = descriptor(entry, str(path))
        index.manifests[found.digest] = Descriptor(found.media_type, found.digest, found.size)
        if TAG in found.annotations:
            index.tags[found.annotations[TAG]] = found.digest
    return index
