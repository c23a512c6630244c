"""Sending a blob over HTTP in parts, each acknowledged, so that a broken connection costs at most one part."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

import httpx

from sacristy.errors import RegistryAway, RegistryRefused
from sacristy.images.session import AGAIN, ATTEMPTS, Session, refusal, wait_s

PART_SIZE = 16 << 20  # bytes
SLICE = 64 << 10  # bytes given to the socket at once: the HTTP library copies the rest of each after every TLS record
OCTETS = {"Content-Type": "application/octet-stream"}


class Upload:
    """An upload that the registry knows by a location, which changes with every part."""

    def __init__(self, session: Session, repository: str, *, mount: tuple[str, str] | None = None) -> None:
        query = {"mount": mount[0], "from": mount[1]} if mount else None
        answer = session.request("POST", f"/v2/{repository}/blobs/uploads/", params=query)
        self._session = session
        self.mounted = answer.status_code == 201
        self._location = "" if self.mounted else self._next(answer)

    def send(self, source: BinaryIO, digest: str) -> httpx.Response:
        """Send all of a stream and close the upload; return the registry's answer: 201, 400 for a wrong digest, 404.

        It is 404 too where the answer to closing it was lost: the upload that is closed again is not known any more.
        After a failure the registry says how far it got, and the stream is set back to there.
        """
        offset = 0
        part = _Part(source)
        while part.fill():
            offset = self._send_part(part, offset)
        parameters = httpx.URL(self._location).copy_merge_params({"digest": digest})
        return self._session.request("PUT", str(parameters), allow=(400, 404))

    def cancel(self) -> None:
        """Give the upload up."""
        self._session.request("DELETE", self._location, allow=(404, 405))

    def _send_part(self, part: _Part, offset: int) -> int:
        """Send a part that begins at an offset, and return where the next one begins."""
        for attempt in range(ATTEMPTS):
            span = {"Content-Range": f"{offset}-{offset + len(part) - 1}", "Content-Length": str(len(part))}
            try:
                answer = self._session.once("PATCH", self._location, content=part, headers=OCTETS | span)
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__
            else:
                if answer.is_success:
                    self._location = self._next(answer)
                    return offset + len(part)
                reason = f"it answers {answer.status_code}"
                if answer.status_code not in AGAIN and answer.status_code != 416:
                    raise RegistryRefused(location=self._session.url, status=answer.status_code, reason=refusal(answer))
            time.sleep(wait_s(attempt))
            offset = self._arrived()
            if not part.fill(offset):
                return offset
        raise RegistryAway(location=self._session.url, reason=reason)

    def _arrived(self) -> int:
        """Return how many bytes the registry has."""
        answer = self._session.request("GET", self._location)
        self._location = self._next(answer)
        last = answer.headers.get("Range", "").rpartition("-")[2]
        return int(last) + 1 if last.isdecimal() and int(last) > 0 else 0

    def _next(self, answer: httpx.Response) -> str:
        location: str = urljoin(self._session.url + "/", answer.headers.get("Location", ""))
        if urlsplit(location)[:2] != urlsplit(self._session.url)[:2]:  # our password goes nowhere else
            raise RegistryRefused(
                location=self._session.url, status=answer.status_code, reason=f"it sends uploads to {location}"
            )
        return location


class _Part:
    """The part of a stream that is being sent, in one buffer for all of them; as a body it can be sent again."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._buffer = memoryview(bytearray(PART_SIZE))
        self._size = 0

    def fill(self, offset: int | None = None) -> int:
        """Read the next part, or the one at an offset, and return its size in bytes."""
        if offset is not None:
            self._source.seek(offset)
        self._size = 0
        while self._size < len(self._buffer):
            count = self._source.readinto(self._buffer[self._size :])  # type: ignore[attr-defined]
            if not count:
                break
            self._size += count
        return self._size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, self._size, SLICE):
            yield bytes(self._buffer[start : min(start + SLICE, self._size)])
