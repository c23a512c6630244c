"""The requests that are many or large, without what else boto3 does for one: objects, parts and ranges.

boto3 takes about 2 ms of processor time for a request and copies what it receives more than once, on the machine
that may also run the gateway. What does not succeed here at once is asked again through boto3, which knows what to do.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from botocore.httpsession import get_cert_path

from sacristy.connections import ODD, Connection, Connections
from sacristy.s3 import UNSIGNED, Signer

OK, PARTIAL = 200, 206
T = TypeVar("T")


class Direct:
    """One bucket. Safe for several threads. `client`: the boto3 client, whose address, keys and trust are used."""

    def __init__(self, client: Any, bucket: str) -> None:
        endpoint = client.meta.endpoint_url
        address = urlsplit(endpoint)
        self._host = address.netloc
        self._place = f"{address.path.rstrip('/')}/{bucket}"
        self._credentials = client._request_signer._credentials  # boto3 has no public way to these and the session
        self._signer = Signer(client.meta.region_name, self._host)
        self._connections = connections(endpoint, client._endpoint.http_session, client.meta.config)

    def put(self, key: str, content: bytes, sha256: str) -> bool:
        """Store an object; say whether that went. The gateway compares what arrives with the SHA-256 (hex)."""
        return self._ask("PUT", key, lambda _: True, content=content, digest=sha256) or False

    def get(self, key: str) -> bytearray | None:
        """Return an object, or None if boto3 has to be asked what is the matter."""

        def read(answer: Connection) -> bytearray:
            content = bytearray(answer.length)
            answer.read_into(memoryview(content))
            return content

        return self._ask("GET", key, read)

    def put_part(self, key: str, upload: str, number: int, content: memoryview) -> str | None:
        """Send a part of an upload and return its tag, or None if boto3 has to send it."""
        query = f"?partNumber={number}&uploadId={quote(upload, safe='')}"
        return self._ask("PUT", key, lambda answer: answer.headers.get("etag"), query=query, content=content)

    def get_range(self, key: str, start: int, size: int, room: memoryview | None) -> tuple[memoryview, int] | None:
        """Return up to `size` bytes from `start`, in the room if one is given, and the object's whole size, or None."""

        def read(answer: Connection) -> tuple[memoryview, int] | None:
            found = re.fullmatch(rf"bytes {start}-\d+/(\d+)", answer.headers.get("content-range", ""))
            if found is None or answer.length > size:
                return None
            view = memoryview(bytearray(answer.length)) if room is None else room[: answer.length]
            answer.read_into(view)
            return view, int(found[1])

        return self._ask("GET", key, read, expected=PARTIAL, more=f"range: bytes={start}-{start + size - 1}\r\n")

    def _ask(
        self,
        method: str,
        key: str,
        read: Callable[[Connection], T],
        *,
        query: str = "",
        content: bytes | memoryview = b"",
        digest: str = UNSIGNED,
        more: str = "",
        expected: int = OK,
    ) -> T | None:
        """Return what `read` makes of an answer with the expected status, else None."""
        if self._connections is None or self._credentials is None:
            return None
        target = f"{self._place}/{quote(key)}{query}"
        keys = self._credentials.get_frozen_credentials()
        signed = self._signer.headers(keys, datetime.now(UTC), method, target, digest)
        lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
        head = f"{method} {target} HTTP/1.1\r\n{lines}{more}content-length: {len(content)}\r\n\r\n"
        try:
            with self._connections.one() as connection:
                return read(connection) if connection.ask(head.encode(), content) == expected else None
        except ODD:
            return None


def connections(endpoint: str, session: Any, config: Any) -> Connections | None:
    """Return connections that trust whom boto3's session trusts, or None where only that knows the way."""
    if session._proxy_config.proxy_url_for(endpoint):
        return None
    context = None
    if endpoint.startswith("https:"):
        try:
            context = ssl.create_default_context(cafile=get_cert_path(session._verify))
        except OSError:  # no such file: boto3 says it better
            return None
    return Connections(endpoint, context, config.connect_timeout, config.read_timeout)
