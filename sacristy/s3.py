"""Who asks an S3 store, without boto3: files of `access:secret`, and Signature 4, whose day's key is derived once.

Goes into every image, so it needs nothing but Python.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from sacristy.errors import KeysUnusable

UNSIGNED = "UNSIGNED-PAYLOAD"  # TLS protects what is sent; the SHA-256 of all of it is ours


class Keys(Protocol):
    """Frozen credentials of botocore, or our own: `token` is set for temporary ones."""

    @property
    def access_key(self) -> str:
        """Whose they are."""

    @property
    def secret_key(self) -> str:
        """What is never sent."""

    @property
    def token(self) -> str | None:
        """What goes with temporary ones."""


@dataclass(frozen=True)
class StoreKeys:
    """Keys of a user of the store."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = None

    @property
    def pair(self) -> tuple[str, str]:
        """Access key and secret key."""
        return self.access_key, self.secret_key

    @property
    def line(self) -> str:
        """What a file of theirs holds."""
        return f"{self.access_key}:{self.secret_key}"

    @classmethod
    def parse(cls, line: str) -> StoreKeys:
        """Return what a file's one line holds, `access:secret`."""
        access, _, secret = line.strip().partition(":")
        return cls(access, secret)


def given_keys(path: Path) -> StoreKeys:
    """Return what a file of `access:secret` that somebody named holds. Raises KeysUnusable."""
    try:
        keys = StoreKeys.parse(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise KeysUnusable(path=path, reason=getattr(error, "strerror", "") or "no text") from None
    if not all(keys.pair):
        raise KeysUnusable(path=path, reason="no access:secret is in it")
    return keys


def user_keys(folder: Path, user: str) -> tuple[str, str] | tuple[None, None]:
    """Return the access and the secret key of a user, or a pair of None to let boto3 look for them.

    Raises KeysUnusable for a file without any.
    """
    path = folder / f"ceph-{user}"
    if os.environ.get("AWS_ACCESS_KEY_ID") or not path.exists():
        return None, None
    return given_keys(path).pair


class Signer:
    """Signs for one region and host. Safe for several threads."""

    def __init__(self, region: str, host: str) -> None:
        self._region = region
        self._host = host
        self._last: tuple[str, str, bytes] = ("", "", b"")  # secret, day, key: replaced as a whole

    def headers(self, keys: Keys, now: datetime, method: str, target: str, digest: str = UNSIGNED) -> dict[str, str]:
        """Return the headers that make a request valid for some minutes from `now` (UTC).

        `target`: path and query as they are sent, quoted, the query's words in order. `digest`: SHA-256 of the body.
        """
        path, _, query = target.partition("?")
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        signed = {"host": self._host, "x-amz-content-sha256": digest, "x-amz-date": stamp}
        if keys.token:
            signed["x-amz-security-token"] = keys.token
        names = ";".join(signed)
        lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
        asked = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{digest}"
        scope = f"{stamp[:8]}/{self._region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(asked.encode()).hexdigest()}"
        signature = hmac.digest(self._key(keys.secret_key, stamp[:8]), text.encode(), "sha256").hex()
        access = f"Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        return signed | {"authorization": f"AWS4-HMAC-SHA256 {access}"}

    def _key(self, secret: str, day: str) -> bytes:
        known_secret, known_day, key = self._last
        if (known_secret, known_day) != (secret, day):
            key = f"AWS4{secret}".encode()
            for word in (day, self._region, "s3", "aws4_request"):
                key = hmac.digest(key, word.encode(), "sha256")
            self._last = (secret, day, key)
        return key
