"""What the pages for ops show, put together from the routes, the registry and MongoDB; whichever of them is away."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from pymongo.database import Database
from pymongo.errors import PyMongoError

from sacristy.errors import NotInitialised, SacristyError
from sacristy.gateway.database import Connection
from sacristy.gateway.ops import facts_of, registry_of, stages_of
from sacristy.gateway.proxy import Proxy
from sacristy.images.signature import keys_of
from sacristy.names import Stage
from sacristy.operator.calls import asleep
from sacristy.release import approvals, moves
from sacristy.release.approvals import Pending
from sacristy.release.order import place_of
from sacristy.settings import Role, Settings
from sacristy.targets.readiness import is_ready
from sacristy.targets.routes import Route
from sacristy.tracking.database import reason

Document = dict[str, Any]
MOST_EVENTS = 30
SHARED_S = 1.0
ASKED_AT_ONCE = 8


@dataclass
class Sources:
    """Where the facts come from. `overview`: the last one and when it was made; all who look share it."""

    settings: Settings
    proxy: Proxy
    connection: Connection
    overview: tuple[float, Page] | None = None

    def routes(self, model: str) -> dict[str, Route]:
        """Return what answers for a model now, by stage."""
        return self.proxy.table.routes().get(model, {})


@dataclass
class Page:
    """What could be found out, and one line for each source that is away. `waiting`: for others' word.

    `asleep`: the models' stages that were put to sleep.
    """

    models: dict[str, Document] = field(default_factory=dict)
    events: list[Document] = field(default_factory=list)
    waiting: list[Pending] = field(default_factory=list)
    away: list[str] = field(default_factory=list)
    asleep: set[tuple[str, str]] = field(default_factory=set)


def survey(sources: Sources) -> Page:
    """Return all models' stages and the newest moves, at most SHARED_S old."""
    if sources.overview is None or time.monotonic() - sources.overview[0] > SHARED_S:
        sources.overview = time.monotonic(), gather(sources)
    return sources.overview[1]


def gather(sources: Sources, model: str = "") -> Page:
    """Return the facts of one model, or the stages of all. What is away is named; the routes are always known."""
    page = Page()
    names = {model} if model else set(sources.proxy.table.routes())
    try:
        registry = registry_of(sources.settings)
        database = sources.connection.database()
        names |= set() if model else set(registry.repositories())
        for name in sorted(names):
            if model:
                page.models[name] = facts_of(registry, database, name, sources.routes(name))
                _add_earlier(database, name, page.models[name])
            else:
                page.models[name] = {"stages": stages_of(registry, name, sources.routes(name))}
        page.asleep = {(name, str(stage)) for name, stage in asleep(database)}
        page.events = trail(database, model)
        page.waiting = approvals.pending(database, sources.settings.promotion, model or None)
    except (SacristyError, PyMongoError) as error:
        page.away.append(_why(error))
        page.models = {name: _by_routes(sources.routes(name)) for name in sorted(names)}
    _add_states(sources, page)
    return page


def trail(database: Database[Document], model: str = "") -> list[Document]:
    """Return the newest moves and approvals, newest first."""
    moved = moves.newest(database, model or None, MOST_EVENTS)
    given = approvals.entries(database, model or None, MOST_EVENTS)
    return sorted([*moved, *given], key=place_of, reverse=True)[:MOST_EVENTS]


def hindrance(settings: Settings) -> str:
    """Return why this gateway may look but not act, or an empty string: it lacks what the commands need."""
    try:
        settings.database_url(Role.SERVICE)
    except NotInitialised:
        return "it does not hold the service's password for MongoDB"
    private = keys_of(settings.home).private_file
    return "" if private.is_file() else f"it does not hold the key that releases are signed with ({private.name})"


def _add_earlier(database: Database[Document], model: str, facts: Document) -> None:
    """Say for each stage what a rollback would go back to."""
    named = {each["digest"]: each["version"] for each in facts["versions"]}
    for stage, state in facts["stages"].items():
        past = moves.history(moves.events(database, model, Stage(stage)))
        state["earlier"] = named.get(past[-2]) if len(past) > 1 else None


def _add_states(sources: Sources, page: Page) -> None:
    places = [(name, stage) for name, facts in page.models.items() for stage in facts["stages"]]
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        urls = [route.url if (route := sources.routes(name).get(stage)) else "" for name, stage in places]
        ready = pool.map(lambda url: bool(url) and is_ready(url), urls)
        for (name, stage), answers in zip(places, ready, strict=True):
            state = page.models[name]["stages"][stage]
            sleeps = (name, stage) in page.asleep and not answers
            state["ready"], state["state"] = answers, "asleep" if sleeps else _state(state, answers)


def _state(state: Document, answers: bool) -> str:
    """Return one of: none, silent, adrift, well."""
    if state["answering"] is None:
        return "none"
    if not answers:
        return "silent"
    return "well" if state["version"] in (None, state["answering"]) else "adrift"


def _by_routes(routes: dict[str, Route]) -> Document:
    stages = {
        stage: {
            "version": None,
            "digest": route.digest,
            "answering": route.version,
            "earlier": None,
            **{str(kind): None for kind in ("canary", "mirror")},
            **{
                str(kind): {"version": share.route.version, "percent": share.percent}
                for kind, share in route.shares.items()
            },
        }
        for stage, route in sorted(routes.items())
    }
    return {"stages": stages, "versions": []}


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, SacristyError) else f"MongoDB does not answer: {reason(error)[:120]}"
