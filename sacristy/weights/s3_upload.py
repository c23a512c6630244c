"""A large file into the bucket: read once, hashed on the way, parts sent side by side, named when the last is there.

The name of a blob is its hash, which is known only at the end. So the parts go to a key of their own below incoming/,
and the finished object is copied on the gateway, which for Ceph is a matter of references, not of bytes.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from filelock import FileLock, Timeout

from sacristy.errors import SacristyError, WeightsRefused
from sacristy.names import blob_key, parse_digest
from sacristy.private import write_private
from sacristy.weights.s3_client import MISSING, UPLOAD_GONE, code_of
from sacristy.weights.s3_direct import Direct
from sacristy.weights.store import CHUNK, Progress

MAX_PARTS = 10_000
AT_ONCE = 6  # parts on the way; with the one being read they are all that is in memory
ROOM = 112 << 20  # bytes for them; parts of what is larger than 80 GB are larger, and fewer of them travel at once
COPIED_WHOLE = 5 << 30  # bytes; what is larger is copied in pieces
PIECE = 1 << 30
MIB = 1 << 20


class Blobs(Protocol):
    """As much of the store as an upload asks."""

    def has(self, digest: str) -> bool:
        """Say whether a blob is there."""

    def renew(self, digest: str) -> None:
        """Note that a blob was put again."""


@dataclass(frozen=True)
class Bucket:
    """Where uploads go, and the folder that remembers those of this machine that are not finished."""

    client: Any
    direct: Direct
    name: str
    uploads: Path


@dataclass
class Upload:
    """One multipart upload. `there`: parts that an earlier attempt sent, by number, with their MD5 and size."""

    key: str
    id: str
    there: dict[int, tuple[str, int]] = field(default_factory=dict)


class Reading:
    """A file being read once, part after part, and hashed. Parts live in few buffers, given back when sent."""

    def __init__(self, source: BinaryIO, first: bytes, size: int) -> None:
        self.size = size
        self.part_size = max(len(first), -(-size // (MAX_PARTS * MIB)) * MIB)
        self.hash = hashlib.sha256()
        self.done = 0
        self._source, self._head = source, first
        self.at_once = at_once(self.part_size)
        self._free: list[bytearray] = []
        self._room = threading.Semaphore(self.at_once + 1)

    def parts(self) -> Iterator[tuple[int, bytearray, memoryview]]:
        """Yield number, buffer and content of each part; give the buffer back with `release`."""
        number = 0
        while True:
            self._room.acquire()
            buffer = self._free.pop() if self._free else bytearray(self.part_size)
            count = self._fill(memoryview(buffer))
            if not count:
                self.release(buffer)
                return
            number += 1
            self.done += count
            yield number, buffer, memoryview(buffer)[:count]

    def release(self, buffer: bytearray) -> None:
        """Take a buffer back."""
        self._free.append(buffer)
        self._room.release()

    @property
    def digest(self) -> str:
        """The digest of what was read so far."""
        return f"sha256:{self.hash.hexdigest()}"

    def _fill(self, view: memoryview) -> int:
        """Read and hash, a piece at a time while it is in the processor's cache."""
        count = len(self._head)
        view[:count] = self._head
        self.hash.update(self._head)
        self._head = b""
        while more := self._source.readinto(view[count : count + CHUNK]):  # type: ignore[attr-defined]
            self.hash.update(view[count : count + more])
            count += more
        return count


def at_once(part_size: int) -> int:
    """Return how many parts of a size may be on the way."""
    return max(1, min(AT_ONCE, ROOM // part_size - 1))


def upload_large(
    bucket: Bucket, blobs: Blobs, path: Path, source: BinaryIO, first: bytes, progress: Progress
) -> tuple[str, int]:
    """Store a file whose first part was read, and return its digest and size. Raises boto3's errors, WeightsRefused."""
    size = path.stat().st_size
    mark = f"{hashlib.sha256(first).hexdigest()}-{size}"
    if known := _already_there(bucket, blobs, mark, source, first, progress):
        return known, size
    reading = Reading(source, first, size)
    with remembered(bucket, mark, reading.part_size) as upload:
        parts = _send(bucket, upload, reading, progress)
        if reading.done != size:
            raise WeightsRefused(path=path, reason="it changed while it was read")
        _complete(bucket, upload, parts, size)
        _name(bucket, blobs, upload, reading.digest, size)
    bucket.client.put_object(Bucket=bucket.name, Key=f"hints/{mark}", Body=reading.digest.encode())
    return reading.digest, size


def _already_there(bucket: Bucket, blobs: Blobs, mark: str, source: BinaryIO, first: bytes, progress: Progress) -> str:
    """Return the digest if the blob is there. Only where one of the same size and beginning is, the file is read."""
    try:
        answer = bucket.client.get_object(Bucket=bucket.name, Key=f"hints/{mark}")
        hinted = parse_digest(answer["Body"].read(100).decode("ascii", "replace"))
    except ClientError as error:
        if code_of(error) in MISSING:
            return ""
        raise
    except SacristyError:  # not a digest: a hint is only a hint
        return ""
    if not blobs.has(hinted):
        return ""
    found = hashlib.sha256(first)
    size = len(first)
    while content := source.read(4 * MIB):
        found.update(content)
        size += len(content)
    source.seek(len(first))
    if f"sha256:{found.hexdigest()}" != hinted:
        return ""
    blobs.renew(hinted)
    if not blobs.has(hinted):  # collected while the file was read
        return ""
    progress(size)
    return hinted


@contextmanager
def remembered(bucket: Bucket, mark: str, part_size: int) -> Iterator[Upload]:
    """Give the upload that an earlier, killed attempt on this machine began, or a new one; forget it at the end.

    Another process that uploads the same now is not disturbed: then this one begins an upload of its own.
    After a failure the upload stays, to be taken up by the next attempt.
    """
    file = bucket.uploads / f"{mark}.json"
    bucket.uploads.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(file.with_suffix(".lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield _begin(bucket)
        return
    try:
        upload = _earlier(bucket, file, part_size) or _begin(bucket)
        facts = {"bucket": bucket.name, "key": upload.key, "id": upload.id, "part": part_size, "at": time.time()}
        write_private(file, json.dumps(facts))
        yield upload
        file.unlink(missing_ok=True)
    finally:
        lock.release()


def _begin(bucket: Bucket) -> Upload:
    key = f"incoming/{uuid.uuid4().hex}"
    answer = bucket.client.create_multipart_upload(Bucket=bucket.name, Key=key)
    return Upload(key, answer["UploadId"])


def _earlier(bucket: Bucket, file: Path, part_size: int) -> Upload | None:
    try:
        facts = json.loads(file.read_text())
        if (facts["bucket"], facts["part"]) != (bucket.name, part_size):
            return None
        key, identity = str(facts["key"]), str(facts["id"])
    except (OSError, ValueError, KeyError):
        return None
    pages = bucket.client.get_paginator("list_parts").paginate(Bucket=bucket.name, Key=key, UploadId=identity)
    try:
        parts = [part for page in pages for part in page.get("Parts", [])]
    except ClientError as error:
        if code_of(error) in (UPLOAD_GONE, *MISSING):
            return None
        raise
    return Upload(key, identity, {part["PartNumber"]: (part["ETag"].strip('"'), part["Size"]) for part in parts})


def _send(bucket: Bucket, upload: Upload, reading: Reading, progress: Progress) -> list[dict[str, Any]]:
    """Send all parts that are not there, some at a time; return what completing needs. The first failure ends it."""
    tags: dict[int, str] = {}
    jobs: set[Future[None]] = set()

    def send(number: int, buffer: bytearray, content: memoryview) -> None:
        try:
            tag = bucket.direct.put_part(upload.key, upload.id, number, content)
            tags[number] = tag or _send_surely(bucket, upload, number, buffer, content)
        finally:
            reading.release(buffer)
        progress(len(content))

    with ThreadPoolExecutor(reading.at_once, "upload") as pool:
        try:
            for number, buffer, content in reading.parts():
                tag, size = upload.there.get(number, ("", 0))
                if size == len(content) and tag == hashlib.md5(content, usedforsecurity=False).hexdigest():
                    tags[number] = tag
                    reading.release(buffer)
                    progress(size)
                    continue
                jobs.add(pool.submit(send, number, buffer, content))
                jobs = _still_running(jobs)
            for job in wait(jobs, return_when=FIRST_EXCEPTION).done:
                job.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [{"PartNumber": number, "ETag": tags[number]} for number in sorted(tags)]


def _send_surely(bucket: Bucket, upload: Upload, number: int, buffer: bytearray, content: memoryview) -> str:
    body = buffer if len(content) == len(buffer) else content.tobytes()
    place = {"Bucket": bucket.name, "Key": upload.key, "UploadId": upload.id, "PartNumber": number}
    return str(bucket.client.upload_part(**place, Body=body)["ETag"])


def _still_running(jobs: set[Future[None]]) -> set[Future[None]]:
    """Return the jobs that go on; raise what a finished one raised."""
    for job in [job for job in jobs if job.done()]:
        job.result()
        jobs.remove(job)
    return jobs


def _complete(bucket: Bucket, upload: Upload, parts: list[dict[str, Any]], size: int) -> None:
    place = {"Bucket": bucket.name, "Key": upload.key}
    try:
        bucket.client.complete_multipart_upload(**place, UploadId=upload.id, MultipartUpload={"Parts": parts})
    except ClientError as error:
        # An answer that was lost on the way: a second attempt finds no upload any more, but the whole object.
        if code_of(error) != UPLOAD_GONE or bucket.client.head_object(**place)["ContentLength"] != size:
            raise


def _name(bucket: Bucket, blobs: Blobs, upload: Upload, digest: str, size: int) -> None:
    """Make the object visible under its digest, in one step."""
    if blobs.has(digest):
        blobs.renew(digest)
    else:
        words = {
            "CopySource": {"Bucket": bucket.name, "Key": upload.key},
            "Bucket": bucket.name,
            "Key": blob_key(digest),
        }
        if size <= COPIED_WHOLE:
            bucket.client.copy_object(**words)
        else:
            bucket.client.copy(**words, Config=TransferConfig(multipart_chunksize=PIECE))
    bucket.client.delete_object(Bucket=bucket.name, Key=upload.key)
