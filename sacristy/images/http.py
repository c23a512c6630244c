"""A registry over HTTP: the distribution API v2 as the CNCF registry, Harbor and others speak it.

HTTP knows no compare and set of a tag. Here a lock of this machine makes look and move one step, and the tag is read
back after it; between machines the release lock in MongoDB does (sacristy/release/lock.py).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import urljoin, urlsplit

import httpx
from filelock import FileLock, Timeout

from sacristy.errors import (
    BlobDamaged,
    BlobNotFound,
    ImageNotFound,
    InvalidName,
    MissingBlob,
    RegistryBusy,
    RegistryRefused,
    TagMoved,
)
from sacristy.images.download import Download
from sacristy.images.manifest import CONFIG, INDEX, MANIFEST, Descriptor, blobs, canonical, described, read_manifest
from sacristy.images.registry import ANY, Access, Expected, Registry, Source, is_digest, parse_tag
from sacristy.images.session import Session
from sacristy.images.upload import OCTETS, Upload
from sacristy.names import DIGEST_PATTERN as DIGEST
from sacristy.names import VERSION_PATTERN, Stage, Version, blob_key, parse_digest, parse_model, parse_version
from sacristy.weights.atomic import writing
from sacristy.weights.verified import VerifiedReader

LOCK_S = 60.0
PAGE = 1000
ACCEPT = {"Accept": ", ".join((MANIFEST, INDEX, "application/vnd.docker.distribution.manifest.v2+json"))}


class HttpRegistry(Registry):
    """One registry, its address such as https://registry:5000."""

    def __init__(self, url: str, access: Access | None = None) -> None:
        self._session = Session(url, access or Access())
        self.location = self._session.url

    def repositories(self) -> list[str]:
        """See Registry. Repositories whose names are no models are not ours and are left out."""
        names = []
        for name in self._pages("/v2/_catalog", "repositories"):
            with suppress(InvalidName):
                names.append(parse_model(name))
        return sorted(name for name in names if self.tags(name))

    def tags(self, repository: str) -> dict[str, str]:
        """See Registry."""
        return self._resolved(repository, self._pages(f"/v2/{parse_model(repository)}/tags/list", "tags"))

    def versions(self, repository: str) -> dict[Version, str]:
        """See Registry. Asks for no other tag's digest: signatures and lists of packages have tags too."""
        names = self._pages(f"/v2/{parse_model(repository)}/tags/list", "tags")
        wanted = [name for name in names if re.fullmatch(VERSION_PATTERN, name, re.ASCII)]
        return {parse_version(tag): digest for tag, digest in self._resolved(repository, wanted).items()}

    def stages(self, repository: str) -> dict[Stage, str]:
        """See Registry. Asks for the stages alone."""
        return {Stage(tag): digest for tag, digest in self._resolved(repository, list(Stage)).items()}

    def resolve(self, repository: str, reference: str) -> Descriptor:
        """See Registry."""
        path = self._manifest_path(repository, reference)
        answer = self._session.request("HEAD", path, headers=ACCEPT, allow=(404,))
        if answer.status_code == 404:
            shown = f"{repository}{'@' if is_digest(reference) else ':'}{reference}"
            raise ImageNotFound(reference=shown, location=self.location, repository=repository)
        kind, digest = self._said(answer, "Content-Type", ".+"), self._said(answer, "Docker-Content-Digest", DIGEST)
        return Descriptor(kind, digest, int(self._said(answer, "Content-Length", "[0-9]+")))

    def read_manifest(self, repository: str, digest: str) -> bytes:
        """See Registry."""
        path = self._manifest_path(repository, parse_digest(digest))
        answer = self._session.request("GET", path, headers=ACCEPT, allow=(404,))
        if answer.status_code == 404:
            raise ImageNotFound(reference=f"{repository}@{digest}", location=self.location, repository=repository)
        self._require(digest, answer.content)
        return answer.content

    def has_blob(self, repository: str, digest: str) -> bool:
        """See Registry."""
        return self._head(self._blob_path(repository, digest)).status_code != 404

    def put_blob(self, repository: str, digest: str, source: Source) -> bool:
        """See Registry."""
        if self.has_blob(repository, digest):
            return False
        if isinstance(source, Path):
            with source.open("rb") as file:
                self._upload(repository, digest, cast("BinaryIO", file))
        else:
            self._upload(repository, digest, BytesIO(source) if isinstance(source, bytes) else source)
        return True

    def mount(self, repository: str, digest: str, origin: str) -> bool:
        """See Registry."""
        upload = Upload(self._session, parse_model(repository), mount=(parse_digest(digest), origin))
        if not upload.mounted:
            upload.cancel()
        return upload.mounted

    def open_blob(self, repository: str, digest: str) -> BinaryIO:
        """See Registry."""
        path = self._blob_path(repository, digest)
        head = self._head(path)
        if head.status_code == 404:
            raise BlobNotFound(key=blob_key(digest), location=self.location)
        body = cast("BinaryIO", Download(self._session, path, blob_key(digest)))
        size = int(self._said(head, "Content-Length", "[0-9]+"))
        return cast("BinaryIO", VerifiedReader(body, digest, size, self.location))

    def put_manifest(self, repository: str, content: bytes, media_type: str = MANIFEST) -> str:
        """See Registry."""
        found = described(content, media_type)
        reference = f"{repository}@{found.digest}"
        for blob in blobs(read_manifest(content, reference)):
            if not self.has_blob(repository, blob.digest):
                raise MissingBlob(reference=reference, digest=blob.digest, location=self.location)
        self._put_manifest(repository, found.digest, content, media_type)
        return found.digest

    def tag(self, repository: str, tag: str, digest: str, expected: Expected = ANY) -> None:
        """See Registry, and the head of this file."""
        with self._lock(repository, parse_tag(tag)):
            if expected is not ANY:
                self._require_tag(repository, tag, expected)
            facts = self.resolve(repository, parse_digest(digest))
            content = self.read_manifest(repository, digest)
            self._put_manifest(repository, tag, content, facts.media_type)
            self._require_tag(repository, tag, digest)

    def untag(self, repository: str, tag: str) -> None:
        """See Registry. Older registries only remove manifests, so the tag is moved to an empty one that goes."""
        with self._lock(repository, parse_tag(tag)):
            if self._tag_now(repository, tag) is None:
                return
            path = self._manifest_path(repository, tag)
            if self._session.request("DELETE", path, allow=(400, 404, 405)).status_code < 400:
                return
            marker = canonical({"untagged": f"{repository}:{tag}"})
            self.put_blob(repository, described(marker, CONFIG).digest, marker)
            config = described(marker, CONFIG).as_json()
            content = canonical({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []})
            self._put_manifest(repository, tag, content, MANIFEST)
            self.delete_manifest(repository, described(content, MANIFEST).digest)

    def delete_manifest(self, repository: str, digest: str) -> None:
        """See Registry. Raises RegistryRefused where the registry does not allow deletion."""
        self._session.request("DELETE", self._manifest_path(repository, parse_digest(digest)), allow=(404,))

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def _head(self, path: str) -> httpx.Response:
        """Ask for a blob without its bytes, where the registry keeps it: an S3 store, as it may be, has it itself."""
        return self._session.request("HEAD", path, allow=(404,), follow_redirects=True)

    def _said(self, answer: httpx.Response, name: str, pattern: str) -> str:
        """Return a header that an answer must have. Raises RegistryRefused: it is a proxy's page, or the like."""
        value = str(answer.headers.get(name, ""))
        if not re.fullmatch(pattern, value):
            raise RegistryRefused(location=self.location, status=answer.status_code, reason=f"it gives no {name}")
        return value

    def _resolved(self, repository: str, tags: Iterable[str]) -> dict[str, str]:
        found = {}
        for tag in tags:
            with suppress(ImageNotFound):  # removed while we look, or never there
                found[tag] = self.resolve(repository, tag).digest
        return found

    def _upload(self, repository: str, digest: str, source: BinaryIO) -> None:
        answer = Upload(self._session, repository).send(source, digest)
        if answer.status_code == 404 and not self.has_blob(repository, digest):  # else an earlier answer was lost
            self._session.checked(answer)
        if answer.status_code == 400:
            key = blob_key(digest)
            raise BlobDamaged(key=key, location=self.location, expected=digest, found="other bytes, says the registry")

    def _put_manifest(self, repository: str, reference: str, content: bytes, media_type: str) -> None:
        path = self._manifest_path(repository, reference)
        self._session.request("PUT", path, content=content, headers=OCTETS | {"Content-Type": media_type})

    def _require(self, digest: str, content: bytes) -> None:
        found = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if found != digest:
            raise BlobDamaged(key=blob_key(digest), location=self.location, expected=digest, found=found)

    def _require_tag(self, repository: str, tag: str, expected: str | None) -> None:
        now = self._tag_now(repository, tag)
        if now != expected:
            reference = f"{repository}:{tag}"
            raise TagMoved(reference=reference, expected=expected or "nothing", found=now or "nothing")

    def _tag_now(self, repository: str, tag: str) -> str | None:
        try:
            return self.resolve(repository, tag).digest
        except ImageNotFound:
            return None

    def _lock(self, repository: str, tag: str) -> FileLock:
        name = hashlib.sha256(f"{self.location}/{repository}:{tag}".encode()).hexdigest()[:32]
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sacristy" / "locks"
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return _Lock(folder / name, timeout=LOCK_S)

    def _pages(self, path: str, key: str) -> list[str]:
        """Return a list that the registry gives in pages; none if there is no such repository."""
        names: list[str] = []
        following = f"{path}?n={PAGE}"
        while following:
            answer = self._session.request("GET", following, allow=(404,))
            if answer.status_code == 404:
                return names
            try:
                names += map(str, answer.json()[key] or [])
            except (ValueError, KeyError, TypeError):
                raise RegistryRefused(location=self.location, status=200, reason="its list is no list") from None
            link = re.match(r'<([^>]+)>; *rel="?next', answer.headers.get("Link", ""))
            following = self._following(path, link[1]) if link else ""
        return names

    def _following(self, path: str, link: str) -> str:
        """Return the next page of a list at the address that we know: registries name themselves as they like."""
        where = urlsplit(urljoin(path, link))
        if not where.path.endswith(path):
            raise RegistryRefused(location=self.location, status=200, reason=f"its list goes on at {link}")
        return f"{path}?{where.query}"

    def _manifest_path(self, repository: str, reference: str) -> str:
        checked = reference if is_digest(reference) else parse_tag(reference)
        return f"/v2/{parse_model(repository)}/manifests/{checked}"

    def _blob_path(self, repository: str, digest: str) -> str:
        return f"/v2/{parse_model(repository)}/blobs/{parse_digest(digest)}"


class _Lock(FileLock):
    """A lock of this machine that says what waited for it."""

    def __enter__(self) -> _Lock:
        try:
            super().__enter__()
        except Timeout:
            raise RegistryBusy(location=self.lock_file, waited_s=LOCK_S) from None
        return self
