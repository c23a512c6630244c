"""Sacristy: from a Sacred run to a served answer, on your own machines.

`sacristy.experiment(name)` is all that a training script needs. It is looked up late, so that a model image,
which holds only `sacristy.serving` and what that imports, needs neither Sacred nor pymongo.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

__all__ = ["__version__", "experiment"]


def __getattr__(name: str) -> Any:
    if name == "experiment":
        from sacristy.tracking.experiment import experiment

        return experiment
    raise AttributeError(f"module 'sacristy' has no attribute {name!r}")
