"""Prediction ids: when it was given, chance, and a keyed hash of both, so that nobody can make one up.

The time leads to the prediction in a collection that is kept by time. 20 bytes, 27 characters of base64.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from datetime import UTC, datetime, timedelta

TIME_BYTES, CHANCE_BYTES, PROOF_BYTES = 6, 6, 8
PATTERN = re.compile(r"[A-Za-z0-9_-]{27}")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Ids:
    """Gives out ids and knows them again, by a key that all workers share."""

    def __init__(self, key: str) -> None:
        self._key = hashlib.sha256(f"prediction ids:{key}".encode()).digest()

    def new(self, at_ms: int) -> str:
        """Return an id for a moment, in milliseconds since 1970."""
        plain = at_ms.to_bytes(TIME_BYTES) + os.urandom(CHANCE_BYTES)
        return base64.urlsafe_b64encode(plain + self._proof(plain)).rstrip(b"=").decode()

    def time_of(self, identity: str) -> datetime | None:
        """Return when an id was given out; None if it was not given out here."""
        if not PATTERN.fullmatch(identity):
            return None
        raw = base64.urlsafe_b64decode(identity + "=")
        plain, proof = raw[:-PROOF_BYTES], raw[-PROOF_BYTES:]
        if not hmac.compare_digest(proof, self._proof(plain)):
            return None
        return EPOCH + timedelta(milliseconds=int.from_bytes(plain[:TIME_BYTES]))

    def _proof(self, plain: bytes) -> bytes:
        return hashlib.blake2b(plain, key=self._key, digest_size=PROOF_BYTES).digest()
