"""Which of a stage's requests a canary or mirror gets."""

from __future__ import annotations

import hashlib
import random

from sacristy.targets.routes import Share


def is_within(share: Share, key: str) -> bool:
    """Say whether a request belongs to a share. The same key always does or never does, until the version changes.

    Without a key it is left to chance. Growing a share keeps all who were in it.
    """
    if not key:
        return random.random() * 100 < share.percent  # noqa: S311 - a sample, no secret
    drawn = hashlib.sha256(f"{share.route.digest}:{key}".encode()).digest()[:8]
    return int.from_bytes(drawn) / 2**64 * 100 < share.percent
