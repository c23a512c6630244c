"""Bytes out of the bucket: ranges side by side into a file, or one stream; both outlive a gateway's restart."""

from __future__ import annotations

import hashlib
import io
import random
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, Protocol, TypeVar

import botocore.exceptions as failures
from botocore.exceptions import ClientError

from sacristy.errors import BlobDamaged, BlobNotFound
from sacristy.names import blob_key
from sacristy.weights.atomic import Part
from sacristy.weights.s3_client import MISSING, asking, code_of
from sacristy.weights.s3_direct import Direct
from sacristy.weights.store import CHUNK, Progress

AT_ONCE = 3  # ranges on the way
BUFFERS = AT_ONCE + 1  # each of a range's size: all that is in memory
BROKEN_TRIES = 6  # of an answer that broke off; boto3 itself repeats only requests that were not answered at all
NO_BYTES = ("InvalidRange", "416")
BROKEN = (
    failures.ResponseStreamingError,
    failures.IncompleteReadError,
    failures.ReadTimeoutError,
    failures.ConnectionClosedError,
)
T = TypeVar("T")


class Source(Protocol):
    """As much of the store as a download asks."""

    bucket: str
    location: str

    @property
    def client(self) -> Any:
        """Return the boto3 client."""

    @property
    def direct(self) -> Direct:
        """Return the shorter way."""

    def missing(self, digest: str) -> BlobNotFound:
        """Return the failure for a blob that is not there."""


def download(store: Source, digest: str, file: Part, size: int, progress: Progress) -> int:
    """Write a blob to a file in ranges of `size` bytes and return its size. Hashed while it passes.

    Raises BlobNotFound, BlobDamaged, or boto3's errors.
    """
    found = hashlib.sha256()
    done = 0
    first, total = _range(store, digest, 0, size)
    rest = range(len(first), total, size)
    with ThreadPoolExecutor(AT_ONCE, "download") as pool:
        try:
            for content in _in_order(pool, store, digest, first, rest):
                for at in range(0, len(content), CHUNK):
                    piece = content[at : at + CHUNK]
                    found.update(piece)
                    file.write(piece)
                done += len(content)
                progress(len(content))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    _check(store, digest, f"sha256:{found.hexdigest()}", done == total)
    return done


def _in_order(
    pool: ThreadPoolExecutor, store: Source, digest: str, first: memoryview, starts: range
) -> Iterator[memoryview]:
    """Yield the first range, which is here, and the others while more are on the way: use each before the next."""
    waiting = iter(starts)
    jobs: deque[tuple[Future[tuple[memoryview, int]], memoryview]] = deque()

    def ask(buffer: memoryview) -> None:
        start = next(waiting, None)
        if start is not None:
            jobs.append((pool.submit(_range, store, digest, start, len(buffer), buffer), buffer))

    for _ in range(min(BUFFERS - 1, len(starts))):
        ask(memoryview(bytearray(len(first))))
    yield first
    ask(first)
    while jobs:
        job, buffer = jobs.popleft()
        yield job.result()[0]
        ask(buffer)


def _range(
    store: Source, digest: str, start: int, size: int, buffer: memoryview | None = None
) -> tuple[memoryview, int]:
    """Return the bytes from `start`, `size` of them or up to the end, and the blob's whole size.

    They lie in the buffer if one is given, else in one that is as large as the blob needs.
    """

    def ask() -> tuple[memoryview, int]:
        place = {"Bucket": store.bucket, "Key": blob_key(digest)}
        try:
            answer = store.client.get_object(**place, Range=f"bytes={start}-{start + size - 1}")
        except ClientError as error:
            if code_of(error) in NO_BYTES and start == 0:
                return memoryview(b""), 0  # an empty blob has no range
            if code_of(error) in MISSING:
                raise store.missing(digest) from None
            raise
        with closing(answer["Body"]) as body:  # its own `with` would give urllib3's stream and errors
            total = _total(answer)
            room = memoryview(bytearray(min(size, total - start))) if buffer is None else buffer
            return room[: _fill(room, body)], total

    return store.direct.get_range(blob_key(digest), start, size, buffer) or _again(ask)


def _fill(buffer: memoryview, body: Any) -> int:
    """Read an answer to its end. In pieces: a `read` of all would ask the system for new memory each time."""
    count = 0
    while more := body.readinto(buffer[count : count + CHUNK]):
        count += int(more)
    return count


def _total(answer: dict[str, Any]) -> int:
    found = re.fullmatch(r"bytes \d+-\d+/(\d+)", answer.get("ContentRange", ""))
    return int(found[1]) if found else int(answer["ContentLength"])


def _again(ask: Callable[[], T]) -> T:
    """Ask again, ever later, while the answer breaks off."""
    for attempt in range(BROKEN_TRIES - 1):
        try:
            return ask()
        except BROKEN:
            time.sleep(random.uniform(0.5, 1.0) * 0.2 * 2**attempt)  # noqa: S311 - no secret, only spread
    return ask()


def _check(store: Source, digest: str, found: str, whole: bool) -> None:
    if found != digest or not whole:
        raise BlobDamaged(key=blob_key(digest), location=store.location, expected=digest, found=found)


class RangeReader(io.RawIOBase):
    """A blob as one stream, which goes on where it broke off. Not verified: wrap it."""

    def __init__(self, store: Source, digest: str) -> None:
        self._store = store
        self._digest = digest
        self._at = 0
        self._body: Any = None
        self.size = 0
        with asking(store.location):
            _again(self._connect)

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes: another place is another request."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to an offset from the start."""
        if whence != io.SEEK_SET or offset < 0:
            raise io.UnsupportedOperation("only offsets from the start")
        self._drop()
        self._at = offset
        return offset

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as there are bytes."""
        view = memoryview(buffer).cast("B")
        with asking(self._store.location):
            content: bytes = _again(lambda: self._read(len(view)))
        view[: len(content)] = content
        self._at += len(content)
        return len(content)

    def close(self) -> None:
        """Give the connection back."""
        self._drop()
        super().close()

    def _read(self, count: int) -> bytes:
        if self._at >= self.size:
            return b""
        if self._body is None:
            self._connect()
        try:
            return bytes(self._body.read(count))
        except BROKEN:
            self._drop()
            raise

    def _connect(self) -> None:
        options = {"Range": f"bytes={self._at}-"} if self._at else {}
        place = {"Bucket": self._store.bucket, "Key": blob_key(self._digest)}
        try:
            answer = self._store.client.get_object(**place, **options)
        except ClientError as error:
            if code_of(error) in MISSING:
                raise self._store.missing(self._digest) from None
            raise
        self._body = answer["Body"]
        self.size = _total(answer)

    def _drop(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
