"""Images as OCI image layouts on disk: one folder for each model, which other tools (skopeo, podman) read too.

Readers need no lock: index.json is replaced atomically. Writers of it hold a lock on the folder, which the
operating system takes back from a killed process.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

from filelock import FileLock, Timeout

from sacristy.errors import BlobDamaged, ImageNotFound, MissingBlob, RegistryBusy, TagMoved
from sacristy.images.index import Index, read_index
from sacristy.images.manifest import MANIFEST, Descriptor, blobs, described, read_manifest
from sacristy.images.registry import ANY, Expected, Registry, Source, is_digest, parse_tag
from sacristy.names import MODEL_PATTERN, blob_key, parse_digest, parse_model
from sacristy.weights.atomic import write_file, writing
from sacristy.weights.folder import FolderStore
from sacristy.weights.verified import chunks

LOCK_S = 30.0
LAYOUT = json.dumps({"imageLayoutVersion": "1.0.0"}).encode()


class OciLayout:
    """One repository in a folder: oci-layout, index.json and blobs/sha256/."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self.store = FolderStore(folder)

    def index(self) -> Index:
        """Return which manifests and tags there are."""
        return read_index(self.folder / "index.json")

    @contextmanager
    def changed_index(self) -> Iterator[Index]:
        """Give the index to change, alone; it is written if the block ends well. Raises RegistryBusy."""
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / ".lock", timeout=LOCK_S):
                index = self.index()
                before = index.encode()
                yield index
                if not (self.folder / "oci-layout").is_file():
                    write_file(self.folder / "oci-layout", LAYOUT)
                if index.encode() != before or not (self.folder / "index.json").is_file():
                    write_file(self.folder / "index.json", index.encode())
        except Timeout:
            raise RegistryBusy(location=self.folder, waited_s=LOCK_S) from None

    def resolve(self, reference: str) -> Descriptor:
        """Return the manifest that a tag or digest stands for. Raises ImageNotFound."""
        index = self.index()
        digest = reference if is_digest(reference) else index.tags.get(parse_tag(reference), "")
        if digest not in index.manifests:
            raise ImageNotFound(reference=self._shown(reference), location=self.folder, repository=self.name)
        return index.manifests[digest]

    def put_manifest(self, content: bytes, media_type: str = MANIFEST) -> str:
        """Store a manifest and enter it in the index. Raises MissingBlob or InvalidImage."""
        found = described(content, media_type)
        wanted = blobs(read_manifest(content, self._shown(found.digest)))
        with self.changed_index() as index:  # looked at under the lock, so that garbage is not collected in between
            for blob in wanted:
                if not self.store.has(blob.digest):
                    raise MissingBlob(reference=self._shown(found.digest), digest=blob.digest, location=self.folder)
            self.store.put_stream(cast("BinaryIO", BytesIO(content)), expected=found.digest)
            index.manifests[found.digest] = found
        return found.digest

    def tag(self, tag: str, digest: str, expected: Expected = ANY) -> None:
        """Compare and set a tag. Raises TagMoved or ImageNotFound."""
        parse_tag(tag)
        with self.changed_index() as index:
            now = index.tags.get(tag)
            if expected is not ANY and now != expected:
                reference, wanted = self._shown(tag), str(expected or "nothing")
                raise TagMoved(reference=reference, expected=wanted, found=now or "nothing")
            if parse_digest(digest) not in index.manifests:
                raise ImageNotFound(reference=self._shown(digest), location=self.folder, repository=self.name)
            index.tags[tag] = digest

    def _shown(self, reference: str) -> str:
        return f"{self.name}{'@' if is_digest(reference) else ':'}{reference}"


class FolderRegistry(Registry):
    """A folder of OCI layouts, one for each repository."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.location = str(root)

    def layout(self, repository: str) -> OciLayout:
        """Return the layout of a repository, there or not. Raises InvalidName."""
        return OciLayout(self.root / parse_model(repository))

    def repositories(self) -> list[str]:
        """See Registry."""
        names = (path.parent.name for path in self.root.glob("*/index.json"))
        return sorted(name for name in names if re.fullmatch(MODEL_PATTERN, name, re.ASCII))

    def tags(self, repository: str) -> dict[str, str]:
        """See Registry."""
        return self.layout(repository).index().tags

    def resolve(self, repository: str, reference: str) -> Descriptor:
        """See Registry."""
        return self.layout(repository).resolve(reference)

    def read_manifest(self, repository: str, digest: str) -> bytes:
        """See Registry."""
        layout = self.layout(repository)
        found = layout.resolve(parse_digest(digest))
        with layout.store.open(digest) as source:
            content = source.read()
        if len(content) != found.size:
            key = blob_key(digest)
            raise BlobDamaged(key=key, location=self.location, expected=digest, found=f"{len(content)} bytes")
        return content

    def has_blob(self, repository: str, digest: str) -> bool:
        """See Registry."""
        return self.layout(repository).store.has(digest)

    def put_blob(self, repository: str, digest: str, source: Source) -> bool:
        """See Registry."""
        store = self.layout(repository).store
        if store.has(digest):
            return False
        if isinstance(source, Path):
            with source.open("rb") as file:
                store.put_stream(cast("BinaryIO", file), expected=digest)
        else:
            stream = BytesIO(source) if isinstance(source, bytes) else source
            store.put_stream(stream, expected=digest)
        return True

    def mount(self, repository: str, digest: str, origin: str) -> bool:
        """See Registry. Blobs never change, so both repositories hold the same file."""
        return _linked(self.layout(origin).store.path(parse_digest(digest)), self.layout(repository).store.path(digest))

    def adopt(self, repository: str, digest: str, source: Registry) -> bool:
        """See Registry: another folder's file, which is read and hashed first, gets a second name."""
        if not isinstance(source, FolderRegistry):
            return False
        with source.open_blob(repository, digest) as content:
            for _ in chunks(content):
                pass
        target = self.layout(repository).store.path(digest)
        if not _linked(source.layout(repository).store.path(digest), target):
            return False
        with writing(target):
            os.utime(target)  # as new as if it had been written: the collector spares what is young
        return True

    def open_blob(self, repository: str, digest: str) -> BinaryIO:
        """See Registry."""
        return self.layout(repository).store.open(digest)

    def put_manifest(self, repository: str, content: bytes, media_type: str = MANIFEST) -> str:
        """See Registry."""
        return self.layout(repository).put_manifest(content, media_type)

    def tag(self, repository: str, tag: str, digest: str, expected: Expected = ANY) -> None:
        """See Registry."""
        self.layout(repository).tag(tag, digest, expected)

    def untag(self, repository: str, tag: str) -> None:
        """See Registry."""
        with self.layout(repository).changed_index() as index:
            index.tags.pop(parse_tag(tag), None)

    def delete_manifest(self, repository: str, digest: str) -> None:
        """See Registry."""
        with self.layout(repository).changed_index() as index:
            index.remove(parse_digest(digest))


def _linked(found: Path, target: Path) -> bool:
    """Give a blob's file a second name; say whether that went or was so already."""
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(found, target)
        except FileExistsError:
            return True
        except OSError:  # it is not there, or on another file system, or that knows no links
            return False
    return True
