"""The record of all that went into a version: baseline.json in the image. No clock, host or user is in it."""

from __future__ import annotations

import math
from typing import Any

from sacristy.names import Version
from sacristy.tracking.runs import RunRecord

SCHEMA = 1


def baseline(
    run: RunRecord, version: Version, base_image: str | None = None, *, fetched: bool = False
) -> dict[str, Any]:
    """Return what is known of a run as plain JSON. `base_image`: the digest of the environment image below.

    `fetched`: the image does not carry the weights.
    """
    return {
        "schema": SCHEMA,
        "model": run.model,
        "run": run.id,
        "version": str(version),
        "commit": run.commit,
        "dirty": run.dirty,
        "sources": run.sources,
        "data": plain(run.data),
        "lock": run.lock,
        "base_image": base_image,
        "config": plain(run.config),
        "result": plain(run.result),
        "weights": [
            {"name": file.name, "digest": file.digest, "size": file.size, "role": file.role} for file in run.weights
        ],
        **({"weights_in": "ceph"} if fetched else {}),
    }


def plain(value: Any) -> Any:
    """Return a value of a MongoDB document as JSON can hold it: NaN, infinities and foreign types become text."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
