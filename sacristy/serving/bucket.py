"""One blob out of an S3 bucket with nothing but Python: no image has boto3.

An answer that breaks off, and a gateway that is away for a while, are asked again from where it was.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from sacristy.errors import BlobDamaged, BlobNotFound, StoreAway, StoreRefused
from sacristy.names import blob_key
from sacristy.s3 import Signer, StoreKeys

PIECE = 1 << 20  # bytes read at a time
TIMEOUT_S = 15.0  # for one answer, and for each piece of it
PATIENCE_S = 60.0  # without a byte, over all attempts
PAUSE_S = 1.0
NOTHING = hashlib.sha256(b"").hexdigest()
BROKEN = (OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Bucket:
    """A bucket, and who reads it. `ca`: what the gateway's certificate is checked with; empty: the system's own."""

    endpoint: str
    name: str
    keys: StoreKeys
    region: str = "default"
    ca: str = ""

    @property
    def location(self) -> str:
        """Where it is, for people."""
        return f"s3://{self.name} at {self.endpoint}"

    def read(self, digest: str, size: int, clock: Callable[[], float] = time.monotonic) -> Iterator[bytes]:
        """Yield a blob's bytes, `size` of them. Their SHA-256 is the caller's to check.

        Raises BlobNotFound, BlobDamaged (another size), StoreRefused, or StoreAway after PATIENCE_S without a byte.
        """
        at, heard = 0, clock()
        while True:
            reason: object = "the answer broke off"
            try:
                for piece in self._answer(digest, size, at):
                    at, heard = at + len(piece), clock()
                    yield piece
            except ssl.SSLCertVerificationError as error:
                raise StoreAway(location=self.location, reason=error) from None
            except BROKEN as error:
                reason = error
            if at >= size:
                return
            if clock() - heard > PATIENCE_S:
                raise StoreAway(location=self.location, reason=reason)
            time.sleep(PAUSE_S)

    def _answer(self, digest: str, size: int, at: int) -> Iterator[bytes]:
        """Yield what one answer holds from a place on."""
        key = blob_key(digest)
        with closing(self._connection()) as connection:
            path = f"/{self.name}/{quote(key)}"
            ranged = {"Range": f"bytes={at}-"} if at else {}
            connection.request("GET", path, headers=self.signed(path, datetime.now(UTC)) | ranged)
            answer = connection.getresponse()
            if answer.status not in (200, 206):
                raise self._refusal(key, answer.status, answer.read(PIECE).decode("utf-8", "replace"))
            found = at + int(answer.getheader("Content-Length") or 0)
            if found != size:
                reason = f"{found} bytes instead of {size}"
                raise BlobDamaged(key=key, location=self.location, expected=digest, found=reason)
            while piece := answer.read(PIECE):
                yield piece

    def _connection(self) -> http.client.HTTPConnection:
        address = urlsplit(self.endpoint)
        if address.scheme != "https":
            return http.client.HTTPConnection(address.netloc, timeout=TIMEOUT_S)
        context = ssl.create_default_context(cafile=self.ca or None)
        return http.client.HTTPSConnection(address.netloc, timeout=TIMEOUT_S, context=context)

    def signed(self, path: str, now: datetime) -> dict[str, str]:
        """Return the headers of a request without a body."""
        signer = Signer(self.region, urlsplit(self.endpoint).netloc)
        return signer.headers(self.keys, now, "GET", path, NOTHING)

    def _refusal(self, key: str, status: int, text: str) -> Exception:
        """Return what an answer means; a gateway that is overloaded is asked again."""
        found = re.search(r"<Code>([^<]{1,80})</Code>", text)
        code = found[1] if found else str(status)
        if status == 404 and code != "NoSuchBucket":
            return BlobNotFound(key=key, location=self.location)
        if status >= 500 or status == 429:
            return http.client.HTTPException(f"{status} {code}")
        return StoreRefused(location=self.location, code=code, reason=http.client.responses.get(status, status))
