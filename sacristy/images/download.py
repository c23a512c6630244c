"""Reading a blob over HTTP as a stream that survives broken connections."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx

from sacristy.errors import BlobNotFound, RegistryAway
from sacristy.images.session import AGAIN, ATTEMPTS, Session, wait_s

READ = 1 << 20


class Download(io.RawIOBase):
    """The body of a GET. After a failure it goes on from where it was; the bytes are verified by who reads them."""

    def __init__(self, session: Session, path: str, key: str) -> None:
        self._session = session
        self._path = path
        self._key = key
        self._count = 0
        self._failures = 0
        self._stack = ExitStack()
        self._rest = b""
        self._parts = self._open()

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as there are bytes at hand. Raises RegistryAway."""
        if not self._rest:
            self._rest = self._part()
        view = memoryview(buffer).cast("B")
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        self._count += count
        return count

    def close(self) -> None:
        """Give the connection back."""
        self._stack.close()
        super().close()

    def _part(self) -> bytes:
        while True:
            try:
                part = next(self._parts, b"")
            except httpx.TransportError as error:
                self._failed(str(error) or type(error).__name__)
                self._parts = self._open()
                continue
            self._failures = 0
            return part

    def _open(self) -> Iterator[bytes]:
        """Ask for the body from where we are, until it comes."""
        while True:
            self._stack.close()
            try:
                answer = self._stack.enter_context(self._session.stream(self._path, self._count))
            except httpx.TransportError as error:
                self._failed(str(error) or type(error).__name__)
                continue
            if answer.status_code == 404:
                self._stack.close()
                raise BlobNotFound(key=self._key, location=self._session.url)
            if answer.status_code in AGAIN or (self._count and answer.status_code != 206):
                self._failed(f"it answers {answer.status_code}")
                continue
            self._session.checked(answer)
            return answer.iter_raw(READ)

    def _failed(self, reason: str) -> None:
        self._failures += 1
        if self._failures >= ATTEMPTS:
            self._stack.close()
            raise RegistryAway(location=self._session.url, reason=reason)
        time.sleep(wait_s(self._failures - 1))
