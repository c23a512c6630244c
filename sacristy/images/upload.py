"""Sending a blob over HTTP in parts, each acknowledged, so that a broken connection costs at most one part."""

from __future__ import annotations

import time
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

import httpx

from sacristy.errors import RegistryAway, RegistryRefused
from sacristy.images.session import AGAIN, ATTEMPTS, Session, refusal, wait_s

PART_SIZE = 16 << 20  # bytes
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
        """Send all of a stream and close the upload; return the registry's answer, 201 or 400 for a wrong digest.

        After a failure the registry says how far it got, and the stream is set back to there.
        """
        offset = 0
        while content := source.read(PART_SIZE):
            offset = self._send_part(source, content, offset)
        parameters = httpx.URL(self._location).copy_merge_params({"digest": digest})
        return self._session.request("PUT", str(parameters), allow=(400,))

    def cancel(self) -> None:
        """Give the upload up."""
        self._session.request("DELETE", self._location, allow=(404, 405))

    def _send_part(self, source: BinaryIO, content: bytes, offset: int) -> int:
        for attempt in range(ATTEMPTS):
            headers = OCTETS | {"Content-Range": f"{offset}-{offset + len(content) - 1}"}
            try:
                answer = self._session.once("PATCH", self._location, content=content, headers=headers)
            except httpx.TransportError as error:
                reason = str(error) or type(error).__name__
            else:
                if answer.is_success:
                    self._location = self._next(answer)
                    return offset + len(content)
                reason = f"it answers {answer.status_code}"
                if answer.status_code not in AGAIN and answer.status_code != 416:
                    raise RegistryRefused(location=self._session.url, status=answer.status_code, reason=refusal(answer))
            time.sleep(wait_s(attempt))
            offset, content = self._resumed(source)
            if not content:
                return offset
        raise RegistryAway(location=self._session.url, reason=reason)

    def _resumed(self, source: BinaryIO) -> tuple[int, bytes]:
        """Return how many bytes the registry has, and the part that follows."""
        answer = self._session.request("GET", self._location)
        self._location = self._next(answer)
        last = answer.headers.get("Range", "").rpartition("-")[2]
        offset = int(last) + 1 if last.isdecimal() and int(last) > 0 else 0
        source.seek(offset)
        return offset, source.read(PART_SIZE)

    def _next(self, answer: httpx.Response) -> str:
        location: str = urljoin(self._session.url + "/", answer.headers.get("Location", ""))
        if urlsplit(location)[:2] != urlsplit(self._session.url)[:2]:  # our password goes nowhere else
            raise RegistryRefused(
                location=self._session.url, status=answer.status_code, reason=f"it sends uploads to {location}"
            )
        return location
