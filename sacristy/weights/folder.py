"""A store in a folder: blobs/sha256/<hex>, which is also how an OCI image layout keeps its blobs."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from sacristy.errors import BlobDamaged, BlobNotFound, PathNotWritable, WeightsRefused
from sacristy.names import blob_key
from sacristy.weights.atomic import SUFFIX, Part, part, writing
from sacristy.weights.store import Blob, Progress, silent
from sacristy.weights.verified import VerifiedReader, chunks


class BlobWriter:
    """A blob being written: hashed on the way, invisible until `commit`. It looks like a file to tarfile."""

    def __init__(self, store: FolderStore, part: Part) -> None:
        self._store = store
        self._part = part
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes."""
        self._hash.update(data)
        count = self._part.write(data)
        self.size += count
        return count

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self.size

    def commit(self, expected: str | None = None) -> str:
        """Make the blob visible under its digest, which is returned. Raises BlobDamaged if it is not as expected."""
        digest = f"sha256:{self._hash.hexdigest()}"
        if expected not in (None, digest):
            raise BlobDamaged(key=blob_key(expected), location=self._store.location, expected=expected, found=digest)
        self._part.publish(self._store.path(digest), mode=0o444)
        return digest


class FolderStore:
    """Blobs as read-only files. A put always replaces: it heals a damaged blob and renews its age."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.location = str(folder)
        self._incoming = folder / "incoming"
        self._blobs = folder / "blobs" / "sha256"

    def path(self, digest: str) -> Path:
        """Return the file of a blob, there or not."""
        return self.folder / blob_key(digest)

    @contextmanager
    def writer(self) -> Iterator[BlobWriter]:
        """Give a writer; what is not committed in the block is removed. Raises PathNotWritable."""
        with part(self._incoming, "blob") as file:
            self._blobs.mkdir(parents=True, exist_ok=True)
            yield BlobWriter(self, file)

    def put(self, path: Path, progress: Progress = silent) -> tuple[str, int]:
        """Copy and hash a file in one pass. See Store.put."""
        try:
            source = path.open("rb")
        except OSError as error:
            raise WeightsRefused(path=path, reason=error.strerror or "it cannot be read") from None
        with source:
            return self.put_stream(cast("BinaryIO", source), progress=progress)

    def put_stream(
        self, source: BinaryIO, *, expected: str | None = None, progress: Progress = silent
    ) -> tuple[str, int]:
        """Copy and hash a stream; BlobDamaged, and nothing stored, if its digest is not the expected one."""
        with self.writer() as blob:
            for chunk in chunks(source):
                blob.write(chunk)
                progress(len(chunk))
            return blob.commit(expected), blob.size

    def get(self, digest: str, target: Path, progress: Progress = silent, size: int | None = None) -> None:
        """Copy and verify a blob. See Store.get."""
        with self.open(digest) as source, part(target.parent, target.name) as file:
            for chunk in chunks(source):
                file.write(chunk)
                progress(len(chunk))
            file.publish(target)

    def open(self, digest: str) -> BinaryIO:
        """Open a blob for verified reading. Raises BlobNotFound."""
        path = self.path(digest)
        try:
            file = path.open("rb")
        except FileNotFoundError:
            raise BlobNotFound(key=blob_key(digest), location=self.location) from None
        except OSError as error:
            raise PathNotWritable(path=path, reason=error.strerror) from None
        reader = VerifiedReader(cast("BinaryIO", file), digest, os.fstat(file.fileno()).st_size, self.location)
        return cast("BinaryIO", reader)

    def has(self, digest: str) -> bool:
        """Say whether a blob is there."""
        return self.path(digest).is_file()

    def find(self, digest: str) -> Blob | None:
        """See Store.find."""
        try:
            facts = self.path(digest).stat()
        except FileNotFoundError:
            return None
        return Blob(digest, facts.st_size, facts.st_mtime)

    def delete(self, digest: str) -> None:
        """Remove a blob if it is there."""
        with writing(self.folder):
            self.path(digest).unlink(missing_ok=True)

    def list(self) -> Iterator[Blob]:
        """Yield every blob, in the order of the digests."""
        for path in sorted(self._blobs.glob("*")):
            if re.fullmatch("[0-9a-f]{64}", path.name) and (blob := self.find(f"sha256:{path.name}")):
                yield blob

    def clear_unfinished(self, older_than_s: float) -> int:
        """Remove temporary files that killed writers left."""
        freed = 0
        for path in self._incoming.glob(f".*{SUFFIX}"):
            with suppress(FileNotFoundError):  # its writer ended meanwhile
                facts = path.stat()
                if facts.st_mtime < time.time() - older_than_s:
                    path.unlink()
                    freed += facts.st_size
        return freed
