"""Blobs that are missing or damaged, brought again from another store."""

from __future__ import annotations

from sacristy.weights.mirror import Mirrored, mirror
from sacristy.weights.store import Progress, Store, silent
from sacristy.weights.upkeep import Verification, verify


def mend(store: Store, source: Store, found: Verification, progress: Progress = silent) -> Mirrored:
    """Copy what `verify` found broken from a store that has it sound; a damaged blob goes only then.

    What the source cannot give is `lost` and stays as it is. Raises what the stores raise.
    """
    broken = {*found.missing, *found.damaged}
    there = verify(source, broken)
    lost = {*there.missing, *there.damaged}
    for digest in found.damaged:
        if digest not in lost:
            store.delete(digest)
    copied = mirror(source, store, broken - lost, progress)
    copied.lost = sorted({*copied.lost, *lost})
    return copied
