"""The table that tells the gateway which instance answers for a model's stage."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from sacristy.errors import PathNotWritable, StateDamaged
from sacristy.names import Stage


@dataclass(frozen=True)
class Route:
    """Where requests for a model's stage go, and what answers there."""

    url: str
    version: str
    digest: str
    run: int
    target: str
    instance: str


Routes = dict[str, dict[str, Route]]


def read_routes(path: Path) -> Routes:
    """Return routes[model][stage]; empty before the first deployment."""
    try:
        models = json.loads(path.read_text())["models"]
        return {model: {stage: Route(**route) for stage, route in stages.items()} for model, stages in models.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateDamaged(path=path, reason=error, mend=f"rm {path}, then: sacristy up") from None


def set_route(path: Path, model: str, stage: Stage, route: Route | None) -> None:
    """Point a model's stage at an instance (or at none), for every request from now on. Atomic.

    Raises PathNotWritable or StateDamaged.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            routes = read_routes(path)
            routes.setdefault(model, {}).pop(stage, None)
            if route:
                routes[model][stage] = route
            _replace(path, routes)
    except OSError as error:
        raise PathNotWritable(path=path, reason=error.strerror) from None


def _replace(path: Path, routes: Routes) -> None:
    models = {
        model: {stage: asdict(route) for stage, route in stages.items()} for model, stages in routes.items() if stages
    }
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as file:
        json.dump({"models": models}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
