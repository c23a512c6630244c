"""Files that runs leave behind: checked, stored once under their SHA-256, verified on every read.

`weights.save(_run, folder)` ends a training script. It is looked up late, so that reading a store needs no Sacred.
"""

from __future__ import annotations

from typing import Any

__all__ = ["save"]


def __getattr__(name: str) -> Any:
    if name == "save":
        from sacristy.weights.saving import save

        return save
    raise AttributeError(f"module 'sacristy.weights' has no attribute {name!r}")
