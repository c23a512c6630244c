"""What a training script tells about its run beyond Sacred's own words. All of it goes through the journal."""

from __future__ import annotations

import json
from typing import Any

from sacristy.errors import NoteReserved, NotPlain

# What the journal, its shipper and services keep below `sacristy`. A note over it would keep the run from arriving
# (`journal`), or stand where a verdict or a move is looked for.
RESERVED = frozenset(
    (
        *("", "journal", "output", "score", "seen", "reaped", "card_due"),
        *("schema", "model", "commit", "dirty", "sources", "code", "diff", "lock", "main_metric", "user"),
        *("repeats", "ranks", "token", "trial", "job"),
        *("acceptance", "base_image", "deployments", "kept_checkpoint", "release", "stage", "stages", "stopped_by"),
    )
)


def note(run: Any, key: str, value: Any) -> None:
    """Set `sacristy.<key>` of a run to a plain JSON value. Raises NotPlain, or NoteReserved.

    A run that is not recorded (`--unobserved`) takes it and forgets it.
    """
    if key in RESERVED:
        raise NoteReserved(key=key)
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise NotPlain(key=key, reason=error) from None
    observer = getattr(run, "observer", None)
    if observer is not None:
        observer.note(key, value)


def log_data(run: Any, name: str, digest: str, rows: int) -> None:
    """Record the data a run was made from: its name, its digest ("sha256:...") and the number of its rows."""
    note(run, "data", {"name": name, "digest": digest, "rows": int(rows)})
