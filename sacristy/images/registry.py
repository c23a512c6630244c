"""Where images are kept: one interface for OCI layouts on disk and for registries over HTTP."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import BinaryIO, Literal

from sacristy.errors import InvalidImage, InvalidLocation, InvalidName
from sacristy.images import manifest as documents
from sacristy.images.image import Image
from sacristy.images.manifest import LABEL, Descriptor, Json
from sacristy.names import DIGEST_PATTERN, VERSION_PATTERN, Stage, Version, parse_model, parse_version
from sacristy.weights.verified import read_whole

TAG_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
TAG_GRAMMAR = "up to 128 of A-Z, a-z, 0-9, '.', '_' and '-', such as '42' or 'staging'"


class Expectation(Enum):
    """What a tag may be when it is moved, other than a digest or None (no such tag)."""

    ANY = "any"


ANY: Literal[Expectation.ANY] = Expectation.ANY
Expected = str | Literal[Expectation.ANY] | None
Source = Path | bytes | BinaryIO


@dataclass(frozen=True)
class Access:
    """How to reach a registry. `ca`: a file of certificates to trust instead of the system's."""

    user: str = ""
    password: str = field(default="", repr=False)
    ca: Path | None = None


class Registry(ABC):
    """Repositories, one for each model, of manifests, blobs and tags. A tag never points at a missing blob."""

    location: str

    @abstractmethod
    def repositories(self) -> list[str]:
        """Return the names of all repositories, sorted."""

    @abstractmethod
    def tags(self, repository: str) -> dict[str, str]:
        """Return the digest that each tag points at; no tags if there is no such repository."""

    @abstractmethod
    def resolve(self, repository: str, reference: str) -> Descriptor:
        """Return the manifest that a tag or digest stands for. Raises ImageNotFound or InvalidName."""

    @abstractmethod
    def read_manifest(self, repository: str, digest: str) -> bytes:
        """Return a manifest's very bytes, verified. Raises ImageNotFound or BlobDamaged."""

    @abstractmethod
    def has_blob(self, repository: str, digest: str) -> bool:
        """Say whether the repository has a blob."""

    @abstractmethod
    def put_blob(self, repository: str, digest: str, source: Source) -> bool:
        """Bring a blob in unless it is there, and say whether it was brought. Raises BlobDamaged if it is not that."""

    @abstractmethod
    def mount(self, repository: str, digest: str, origin: str) -> bool:
        """Take a blob over from another repository of this registry without sending it; say whether that went."""

    def adopt(self, repository: str, digest: str, source: Registry) -> bool:
        """Take a blob over from another registry without writing its bytes again; say whether that went.

        Raises BlobNotFound or BlobDamaged.
        """
        return False

    @abstractmethod
    def open_blob(self, repository: str, digest: str) -> BinaryIO:
        """Return a blob's bytes, verified while they are read. Raises BlobNotFound."""

    @abstractmethod
    def put_manifest(self, repository: str, content: bytes, media_type: str = documents.MANIFEST) -> str:
        """Store a manifest whose blobs are all there, and return its digest. Raises MissingBlob or InvalidImage."""

    @abstractmethod
    def tag(self, repository: str, tag: str, digest: str, expected: Expected = ANY) -> None:
        """Point a tag at a manifest, if it points at `expected` now (None: if there is no such tag).

        Raises TagMoved, ImageNotFound or InvalidName.
        """

    @abstractmethod
    def untag(self, repository: str, tag: str) -> None:
        """Remove a tag; the manifest stays. No such tag is no error."""

    @abstractmethod
    def delete_manifest(self, repository: str, digest: str) -> None:
        """Remove a manifest and all tags that point at it. No such manifest is no error."""

    def manifest(self, repository: str, digest: str) -> Json:
        """Return a manifest, checked. Raises ImageNotFound, BlobDamaged or InvalidImage."""
        return documents.read_manifest(self.read_manifest(repository, digest), f"{repository}@{digest}")

    def config(self, repository: str, digest: str) -> Json:
        """Return the configuration of an image."""
        blob = documents.descriptor(self.manifest(repository, digest)["config"], f"{repository}@{digest}")
        with self.open_blob(repository, blob.digest) as source:
            content = read_whole(source, documents.MAX_DOCUMENT)
        return documents.read_document(content, f"{repository}@{digest}")

    def image(self, repository: str, reference: str) -> Image:
        """Return what a tag or digest stands for, as its labels say. Raises ImageNotFound or InvalidImage."""
        digest = self.resolve(repository, reference).digest
        try:
            labels = self.config(repository, digest)["config"]["Labels"]
            version = parse_version(labels[LABEL + "version"])
            return Image(parse_model(labels[LABEL + "model"]), version, version.run, digest)
        except (KeyError, TypeError, InvalidName):
            raise InvalidImage(reference=f"{repository}@{digest}", reason="its labels name no model version") from None

    def size(self, repository: str, digest: str) -> int:
        """Return the bytes of an image's configuration and layers."""
        return sum(blob.size for blob in documents.blobs(self.manifest(repository, digest)))

    def versions(self, repository: str) -> dict[Version, str]:
        """Return the digest of each version."""
        tags = self.tags(repository).items()
        return {parse_version(tag): digest for tag, digest in tags if re.fullmatch(VERSION_PATTERN, tag)}

    def stages(self, repository: str) -> dict[Stage, str]:
        """Return the digest of each stage that points at something."""
        return {Stage(tag): digest for tag, digest in self.tags(repository).items() if tag in list(Stage)}


def open_registry(location: str, access: Access | None = None) -> Registry:
    """Return the registry at a folder, or over HTTP at https://host:port. Raises InvalidLocation."""
    scheme, colon, _ = location.partition("://")
    if scheme in ("http", "https") and colon:
        from sacristy.images.http import HttpRegistry

        return HttpRegistry(location, access)
    if colon or not location:
        reason = f"{scheme}:// is not supported" if colon else "it is empty"
        raise InvalidLocation(location=location, reason=reason)
    from sacristy.images.layout import FolderRegistry

    return FolderRegistry(Path(location))


def parse_tag(text: str) -> str:
    """Return a tag, or raise InvalidName."""
    if not re.fullmatch(TAG_PATTERN, text, re.ASCII):
        raise InvalidName(kind="tag", value=text, grammar=TAG_GRAMMAR)
    return text


def is_digest(reference: str) -> bool:
    """Say whether a reference is a digest and not a tag."""
    return re.fullmatch(DIGEST_PATTERN, reference, re.ASCII) is not None
