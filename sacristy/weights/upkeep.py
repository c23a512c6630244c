"""Looking after a store: finding damage, and removing what nothing refers to."""

from __future__ import annotations

import time
from collections.abc import Iterable, Set
from dataclasses import dataclass, field

from sacristy.errors import BlobDamaged, BlobNotFound
from sacristy.weights.store import Blob, Progress, Store, silent
from sacristy.weights.verified import chunks

GRACE_S = 7 * 24 * 3600.0  # younger blobs may belong to a run that has not noted them yet


@dataclass
class Verification:
    """What re-reading found. `bytes` were read; the lists hold digests."""

    sound: int = 0
    bytes: int = 0
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Say whether all that is referred to is there and right."""
        return not self.missing and not self.damaged


def verify(store: Store, digests: Iterable[str], progress: Progress = silent) -> Verification:
    """Read and hash each blob, and report all damage instead of stopping at the first."""
    found = Verification()
    for digest in sorted(set(digests)):
        try:
            with store.open(digest) as source:
                for chunk in chunks(source):
                    found.bytes += len(chunk)
                    progress(len(chunk))
            found.sound += 1
        except BlobNotFound:
            found.missing.append(digest)
        except BlobDamaged:
            found.damaged.append(digest)
    return found


def unreferenced(store: Store, referenced: Set[str], grace_s: float = GRACE_S, now: float | None = None) -> list[Blob]:
    """Return the blobs that nothing refers to and that were last put longer ago than the grace period."""
    before = (time.time() if now is None else now) - grace_s
    return [blob for blob in store.list() if blob.digest not in referenced and blob.modified < before]


def collect(store: Store, blobs: Iterable[Blob]) -> list[Blob]:
    """Delete blobs that `unreferenced` found, and return those that went.

    One that was put again in between, by a run that refers to it now, has a new age and is kept. Each is looked at
    just before it goes: to remove thousands takes minutes.
    """
    gone = []
    for blob in blobs:
        if store.find(blob.digest) == blob:
            store.delete(blob.digest)
            gone.append(blob)
    return gone
