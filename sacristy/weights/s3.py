"""A store in an S3 bucket, written for Ceph's gateway: blobs/sha256/<hex>, absent or complete.

Beside the blobs lie `incoming/` (uploads that are not named yet), `hints/` (size and beginning of large blobs, so that
an upload of what is there ends early) and `renewed/` (when a blob that was there was put again).
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, cast

from botocore.exceptions import ClientError

from sacristy.errors import BlobNotFound, WeightsRefused
from sacristy.names import blob_key, parse_digest
from sacristy.settings import Settings
from sacristy.weights.atomic import part
from sacristy.weights.cache import Cache
from sacristy.weights.s3_client import ATTEMPTS, MISSING, UPLOAD_GONE, asking, code_of, open_client
from sacristy.weights.s3_direct import Direct
from sacristy.weights.s3_download import RangeReader, download
from sacristy.weights.s3_upload import Bucket, upload_large
from sacristy.weights.store import Blob, Progress, silent
from sacristy.weights.verified import VerifiedReader

PART = 8 << 20  # bytes sent at a time; smaller files go in one request
RANGE = 8 << 20  # bytes asked for at a time
CACHE_LIMIT = 20 << 30  # bytes on this node
CACHED_FROM = 1 << 20  # bytes; what is smaller is as quickly had again
BLOBS, INCOMING, HINTS, RENEWED = "blobs/sha256/", "incoming/", "hints/", "renewed/"


class S3Store:
    """Blobs in a bucket. Safe for several threads.

    `user`: whose keys from secrets/ceph-<user> are used; `keys`: another file of keys.
    """

    def __init__(
        self,
        bucket: str,
        settings: Settings,
        user: str = "training",
        attempts: int = ATTEMPTS,
        keys: Path | None = None,
    ) -> None:
        self.bucket = bucket
        self.location = f"s3://{bucket} at {settings.s3_endpoint or 'AWS'}"
        self.cache = Cache(settings.cache_folder / "blobs")
        self._settings, self._attempts = settings, attempts
        self._user, self._keys = user, keys
        self._uploads = settings.home / "run" / "uploads"

    @cached_property
    def client(self) -> Any:
        """The boto3 client."""
        with asking(self.location):
            return open_client(self._settings, self._user, self._attempts, self._keys)

    @cached_property
    def direct(self) -> Direct:
        """The shorter way for what is many or large."""
        return Direct(self.client, self.bucket)

    def put(self, path: Path, progress: Progress = silent) -> tuple[str, int]:
        """Hash and send a file in one pass. See Store.put; also raises StoreAway, StoreRefused or StoreFull.

        A file that is there already is not sent again. One whose upload was killed goes on where it was.
        """
        try:
            source = path.open("rb")
        except OSError as error:
            raise WeightsRefused(path=path, reason=error.strerror or "it cannot be read") from None
        with source, asking(self.location):
            content = source.read(min(PART, os.fstat(source.fileno()).st_size + 1))  # room for all of PART takes longer
            if len(content) == PART:
                bucket = Bucket(self.client, self.direct, self.bucket, self._uploads)
                return upload_large(bucket, self, path, cast("BinaryIO", source), content, progress)
            return self._put_small(content, progress), len(content)

    def get(self, digest: str, target: Path, progress: Progress = silent, size: int | None = None) -> None:
        """Bring a blob, from this node's cache if it is there. See Store.get; also raises StoreAway, StoreRefused."""
        if size is not None and size < CACHED_FROM:  # it is in no cache: no lock is needed
            self._bring(digest, target, progress, small=True)
            return
        with self.cache.entry(digest) as entry:
            if not entry.give(target, progress) and self._bring(digest, target, progress) >= CACHED_FROM:
                entry.keep(target)
                self.cache.trim(CACHE_LIMIT)

    def _bring(self, digest: str, target: Path, progress: Progress, *, small: bool = False) -> int:
        # asking is the inner one: botocore's time-outs and distrust of a certificate are OSErrors, which `part` takes
        with part(target.parent, target.name) as file, asking(self.location):
            content = self.direct.get(blob_key(digest)) if small else None
            if content is not None and f"sha256:{hashlib.sha256(content).hexdigest()}" == digest:
                file.write(content)
                progress(size := len(content))
            else:  # whatever is wrong with it is found out, and said, by the longer way
                size = download(self, digest, file, RANGE, progress)
            file.publish(target, kept=False)
        return size

    def open(self, digest: str) -> BinaryIO:
        """Stream a blob from the gateway, verified. Raises BlobNotFound, StoreAway or StoreRefused."""
        reader = RangeReader(self, digest)
        return cast("BinaryIO", VerifiedReader(cast("BinaryIO", reader), digest, reader.size, self.location))

    def has(self, digest: str) -> bool:
        """Say whether a blob is there."""
        return self.size(digest) is not None

    def size(self, digest: str) -> int | None:
        """Return a blob's size in bytes, or None if it is not there."""
        with asking(self.location):
            try:
                return int(self.client.head_object(Bucket=self.bucket, Key=blob_key(digest))["ContentLength"])
            except ClientError as error:
                if code_of(error) in MISSING:
                    return None
                raise

    def renew(self, digest: str) -> None:
        """Note that a blob that is there was put again, so that it counts as new for the collector."""
        with asking(self.location):
            self.client.put_object(Bucket=self.bucket, Key=RENEWED + digest.removeprefix("sha256:"), Body=b"")

    def delete(self, digest: str) -> None:
        """Remove a blob if it is there."""
        with asking(self.location):
            for key in (blob_key(digest), RENEWED + digest.removeprefix("sha256:")):
                self.client.delete_object(Bucket=self.bucket, Key=key)
        self.cache.forget(digest)

    def list(self) -> Iterator[Blob]:
        """Yield every blob, in the order of the digests."""
        return self._below("")

    def find(self, digest: str) -> Blob | None:
        """See Store.find. Listed, not asked for: that tells the time to the second only."""
        return next(self._below(parse_digest(digest).removeprefix("sha256:")), None)

    def _below(self, name: str) -> Iterator[Blob]:
        """Yield the blobs whose names begin so."""
        renewed = {facts["Key"].removeprefix(RENEWED): facts["LastModified"] for facts in self.objects(RENEWED + name)}
        for facts in self.objects(BLOBS + name):
            name = facts["Key"].removeprefix(BLOBS)
            modified = max(facts["LastModified"], renewed.get(name, facts["LastModified"]))
            yield Blob(f"sha256:{name}", facts["Size"], modified.timestamp())

    def objects(self, prefix: str) -> Iterator[dict[str, Any]]:
        """Yield Key, Size and LastModified of every object below a prefix, in the order of the keys."""
        with asking(self.location):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                yield from page.get("Contents", [])

    def clear_unfinished(self, older_than_s: float) -> int:
        """Remove what killed uploads left, parts and all. See Store.clear_unfinished."""
        before, freed = time.time() - older_than_s, 0
        with asking(self.location):
            for facts in list(self.objects(INCOMING)):
                if facts["LastModified"].timestamp() < before:
                    self.client.delete_object(Bucket=self.bucket, Key=facts["Key"])
                    freed += facts["Size"]
            uploads = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=INCOMING)
            for upload in [upload for page in uploads for upload in page.get("Uploads", [])]:
                if upload["Initiated"].timestamp() < before:
                    freed += self._abort(upload["Key"], upload["UploadId"])
        return freed

    def _abort(self, key: str, upload: str) -> int:
        place = {"Bucket": self.bucket, "Key": key, "UploadId": upload}
        try:
            pages = self.client.get_paginator("list_parts").paginate(**place)
            freed = sum(int(sent["Size"]) for page in pages for sent in page.get("Parts", []))
            self.client.abort_multipart_upload(**place)
        except ClientError as error:
            if code_of(error) != UPLOAD_GONE:
                raise
            return 0  # it ended meanwhile
        return freed

    def _put_small(self, content: bytes, progress: Progress) -> str:
        """Send in one request. The smallest are sent whether they are there or not: asking would take as long."""
        found = hashlib.sha256(content).hexdigest()
        digest = f"sha256:{found}"
        if len(content) >= CACHED_FROM and self.has(digest):
            self.renew(digest)
        elif not self.direct.put(blob_key(digest), content, found):
            self.client.put_object(Bucket=self.bucket, Key=blob_key(digest), Body=content)
        progress(len(content))
        return digest

    def missing(self, digest: str) -> BlobNotFound:
        """Return the failure for a blob that is not there."""
        return BlobNotFound(key=blob_key(digest), location=self.location)
