"""Where a run comes from: the code's commit and fingerprint, the lock, the run it continues or repeats."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sacristy import ranks
from sacristy.errors import SacristyError
from sacristy.project import load_model
from sacristy.settings import Settings
from sacristy.sources import describe, image_paths
from sacristy.tracking.variables import JOB, PARENT, REPEATS, TOKEN, TRIAL

SCHEMA = 1


def provenance(settings: Settings, name: str, script_folder: Path) -> tuple[dict[str, Any], str]:
    """Return what goes below `sacristy` in the run's document, and the diff of a dirty work tree."""
    code = _code(settings.project, name, script_folder)
    sources = describe(settings.project, code)
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "model": name,
        "commit": sources.commit,
        "dirty": sources.dirty,
        "sources": sources.fingerprint,
        "code": list(code),
        "user": settings.user,
    } | _declared(settings.project, name)
    for key, variable in (("parent", PARENT), ("repeats", REPEATS)):
        run = os.environ.get(variable, "")
        if run.isdecimal():
            found[key] = int(run)
    if ranks.world_size() > 1:
        found["ranks"] = ranks.world_size()
    if token := os.environ.get(TOKEN):
        found["token"] = token
    for key, variable in (("trial", TRIAL), ("job", JOB)):
        if told := os.environ.get(variable):
            found[key] = json.loads(told)
    if sources.diff:
        found["diff"] = "sha256:" + hashlib.sha256(sources.diff.encode("utf-8", "surrogateescape")).hexdigest()
    return found, sources.diff


def _code(project: Path, name: str, script_folder: Path) -> Sequence[str]:
    """Return the paths, relative to the project, that a run's code is taken to be."""
    if (project / "models" / name).is_dir():
        return image_paths(name)
    try:
        folder = script_folder.resolve().relative_to(project.resolve()).as_posix()
    except ValueError:
        return ["models"]
    # Not all of the project: without git to ignore it, that would be our own home folder too.
    return sorted(path.name for path in project.glob("*.py")) if folder == "." else [folder]


def _declared(project: Path, name: str) -> dict[str, str]:
    """Return the model's lock and its main metric, as its folder declares them."""
    try:
        model = load_model(project, name)
        return {"lock": model.lock_hash, "main_metric": model.file.main_metric}
    except (SacristyError, OSError):  # a script beside the project's models: nothing can be built from it
        return {"lock": "", "main_metric": ""}
