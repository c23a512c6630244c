"""Where packages come from: their registries, or what `sacristy bundle load` brought to a site without a network."""

from __future__ import annotations

import os
from pathlib import Path

from sacristy.settings import Settings

WHEELS, NPM = "wheels", "npm"


def brought_folder(settings: Settings) -> Path:
    """Return the folder of the packages that were brought here; where it is not, the registries are asked."""
    return settings.home / "bundle"


def pip_environment(settings: Settings) -> dict[str, str]:
    """Return the environment variables for pip: with packages that were brought, it asks nobody else."""
    wheels = brought_folder(settings) / WHEELS
    given = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)} if wheels.is_dir() else {}
    return dict(os.environ) | given


def npm_folder(settings: Settings) -> Path | None:
    """Return the folder of npm's packages that were brought here, or None."""
    folder = brought_folder(settings) / NPM
    return folder if folder.is_dir() else None
