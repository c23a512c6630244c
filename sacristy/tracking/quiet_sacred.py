"""What is used of Sacred, imported without its warning about pkg_resources: every Pipfile keeps setuptools below 81."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)
    from sacred import SETTINGS, Experiment
    from sacred.dependencies import get_digest
    from sacred.observers import RunObserver
    from sacred.run import Run

__all__ = ["SETTINGS", "Experiment", "Run", "RunObserver", "get_digest"]
