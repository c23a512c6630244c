"""The table that tells the gateway which instances answer for a model's stage, and which shares of its requests.

{"models": {"news": {"production": {"url": ..., "version": "42", ..., "canary": {"route": {...}, "percent": 10}}}}}
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from filelock import FileLock

from sacristy.errors import NothingDeployed, PathNotWritable, StateDamaged
from sacristy.names import Stage

RETRY_AFTER_S = 1


class ShareKind(StrEnum):
    """What the second version of a stage is given: requests to answer, or copies whose answers are only compared."""

    CANARY = "canary"
    MIRROR = "mirror"


@dataclass(frozen=True)
class Share:
    """A second version beside the one of the stage. `percent` of the requests, above 0, at most 100.

    `since`: when it began to be compared with the stage's own version, ISO 8601; empty in an older table.
    """

    route: Route
    percent: float
    since: str = ""


@dataclass(frozen=True)
class Route:
    """Where requests for a model's stage go, and what answers there.

    `idle_s`: after so many seconds in which nobody asked it may be asleep; 0: never.
    """

    url: str
    version: str
    digest: str
    run: int
    target: str
    instance: str
    idle_s: float = 0.0
    canary: Share | None = None
    mirror: Share | None = None

    @property
    def shares(self) -> dict[ShareKind, Share]:
        """The versions beside it, by kind."""
        found = {ShareKind.CANARY: self.canary, ShareKind.MIRROR: self.mirror}
        return {kind: share for kind, share in found.items() if share}

    @property
    def alone(self) -> Route:
        """The route without its shares."""
        return replace(self, canary=None, mirror=None)


Routes = dict[str, dict[str, Route]]


def this_moment() -> str:
    """Return the time as a share has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def read_routes(path: Path) -> Routes:
    """Return routes[model][stage]; empty before the first deployment. Raises StateDamaged."""
    try:
        models = json.loads(path.read_text())["models"]
        return {model: {stage: _route(found) for stage, found in stages.items()} for model, stages in models.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateDamaged(path=path, reason=error, mend=f"rm {path}, then: sacristy up") from None


def every_route(routes: Routes) -> Iterator[Route]:
    """Yield every route: those of the stages, and those of the shares beside them."""
    for stages in routes.values():
        for route in stages.values():
            yield route.alone
            yield from (share.route for share in route.shares.values())


def set_route(path: Path, model: str, stage: Stage, route: Route | None) -> None:
    """Point a model's stage at an instance (or at none), for every request from now on. Atomic.

    Shares stay, but for those of the same digest: that is the stage's own from now on. Without a route there are none.
    Beside another version than before they begin anew.
    Raises PathNotWritable or StateDamaged.
    """

    def change(old: Route | None) -> Route | None:
        if not route or not old:
            return route
        kept: Any = {kind: share for kind, share in old.shares.items() if share.route.digest != route.digest}
        if route.digest != old.digest:
            kept = {kind: replace(share, since=this_moment()) for kind, share in kept.items()}
        return replace(route.alone, **kept)

    _change(path, model, stage, change)


def set_share(path: Path, model: str, stage: Stage, kind: ShareKind, share: Share | None) -> None:
    """Give a second version a share of a stage's requests, or take it away. Atomic.

    Raises NothingDeployed if nothing answers for the stage, PathNotWritable or StateDamaged.
    """

    def change(old: Route | None) -> Route | None:
        if not old and share:
            raise NothingDeployed(model=model, stage=stage, retry_after_s=RETRY_AFTER_S)
        given: Any = {str(kind): share}
        return replace(old, **given) if old else None

    _change(path, model, stage, change)


def _change(path: Path, model: str, stage: Stage, change: Callable[[Route | None], Route | None]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            routes = read_routes(path)
            route = change(routes.setdefault(model, {}).pop(stage, None))
            if route:
                routes[model][stage] = route
            _replace(path, routes)
    except OSError as error:
        raise PathNotWritable(path=path, reason=error.strerror) from None


def _route(found: dict[str, Any]) -> Route:
    shares = {kind: found.get(kind) for kind in ShareKind}
    given: Any = {
        str(kind): Share(Route(**share["route"]), share["percent"], share.get("since", ""))
        for kind, share in shares.items()
        if share
    }
    return Route(**{name: value for name, value in found.items() if name not in list(ShareKind)}, **given)


def _plain(route: Route) -> dict[str, Any]:
    plain = {name: value for name, value in asdict(route).items() if name not in list(ShareKind)}
    shares = {
        kind: {"route": _plain(share.route), "percent": share.percent, "since": share.since}
        for kind, share in route.shares.items()
    }
    if not route.idle_s:
        del plain["idle_s"]  # gateways of an earlier version do not know the word
    return plain | shares


def _replace(path: Path, routes: Routes) -> None:
    models = {
        model: {stage: _plain(route) for stage, route in stages.items()} for model, stages in routes.items() if stages
    }
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as file:
        json.dump({"models": models}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


class RoutesCache:
    """The routes for somebody who looks every second: read again only when the file is another one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state: tuple[int, int, int] | None = None
        self._routes: Routes = {}

    def read(self) -> Routes:
        """Return routes[model][stage], not to be changed. Raises StateDamaged."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return {}
        state = (found.st_ino, found.st_mtime_ns, found.st_size)
        if state != self._state:
            self._routes, self._state = read_routes(self.path), state
        return self._routes
