"""For those who operate models: what there is and what was done; and orders to promote, roll back, try a canary."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, request
from pymongo.database import Database

from sacristy.gateway.asking import user
from sacristy.gateway.database import Connection
from sacristy.gateway.insight import plain_answer
from sacristy.gateway.orders import MOST_BYTES, Approval, Canary, Order, Promotion, Rollback, carry_out, parse_order
from sacristy.gateway.proxy import Proxy
from sacristy.gateway.rights import Right, needs
from sacristy.images.registry import Access, Registry, open_registry
from sacristy.names import Version, parse_model
from sacristy.release import approvals, evidence, moves
from sacristy.serving.body import read_json_body
from sacristy.settings import Settings
from sacristy.targets.routes import Route, ShareKind

Document = dict[str, Any]
MOST_EVENTS = 200
SHOWN = ("at", "by", "action", "model", "stage", "version", "from", "to", "why", "state", "run")


def routes(settings: Settings, proxy: Proxy, connection: Connection) -> Blueprint:
    """Return the addresses for ops."""
    pages = Blueprint("ops", __name__)

    @pages.get("/ops/models")
    @needs(Right.RELEASE)
    def models() -> Response:
        registry, table = registry_of(settings), proxy.table.routes()
        names = sorted({*registry.repositories(), *table})
        database = connection.database()
        return plain_answer(
            {"models": {name: facts_of(registry, database, name, table.get(name, {})) for name in names}}
        )

    @pages.get("/ops/audit")
    @needs(Right.RELEASE)
    def audit() -> Response:
        model = parse_model(request.args["model"]) if request.args.get("model") else None
        found = moves.newest(connection.database(), model, MOST_EVENTS)
        return plain_answer({"events": [{name: event.get(name) for name in SHOWN} for event in found]})

    kinds: dict[str, type[Order]] = {
        "promote": Promotion,
        "approve": Approval,
        "rollback": Rollback,
        "canary": Canary,
    }

    @pages.get("/ops/approvals")
    @needs(Right.RELEASE)
    def waiting() -> Response:
        model = parse_model(request.args["model"]) if request.args.get("model") else None
        found = approvals.pending(connection.database(), settings.promotion, model)
        return plain_answer({"approvals": [asdict(each) for each in found]})

    for path, kind in kinds.items():
        _add_order(pages, settings, path, kind)
    return pages


def _add_order(pages: Blueprint, settings: Settings, path: str, kind: type[Order]) -> None:
    @pages.post(f"/ops/{path}", endpoint=path)
    @needs(Right.RELEASE)
    def order() -> Response:
        wanted = parse_order(kind, read_json_body(request, MOST_BYTES))
        results = carry_out(settings, wanted, user())
        return plain_answer({"done": True, "result": results[-1]})


def registry_of(settings: Settings) -> Registry:
    """Return pushed images and the stages."""
    name, password = settings.registry_login
    return open_registry(settings.registry_location, Access(name, password, settings.registry_ca))


def facts_of(registry: Registry, database: Database[Document], model: str, routed: dict[str, Route]) -> Document:
    """Return a model's stages and versions, with their evidence. docs/how-to/gateway.md has the shape."""
    versions = registry.versions(model)
    stages = registry.stages(model)
    return {
        "stages": stages_of(registry, model, routed),
        "versions": [
            _version(database, version, digest, [str(stage) for stage, there in stages.items() if there == digest])
            for version, digest in sorted(versions.items(), reverse=True)
        ],
    }


def stages_of(registry: Registry, model: str, routed: dict[str, Route]) -> Document:
    """Return a model's stages by name: what each points at, and what answers for it."""
    stages = {str(stage): digest for stage, digest in registry.stages(model).items()}
    named = {digest: str(version) for version, digest in registry.versions(model).items()}
    return {stage: _stage(stages.get(stage), named, routed.get(stage)) for stage in sorted({*stages, *routed})}


def _stage(digest: str | None, named: dict[str, str], route: Route | None) -> Document:
    shares = route.shares if route else {}
    return {
        "version": named.get(digest or ""),
        "digest": digest,
        "run": route.run if route and route.digest == digest else None,
        "answering": route.version if route else None,
        "target": route.target if route else None,
        **{
            str(kind): {"version": share.route.version, "percent": share.percent} if share else None
            for kind in ShareKind
            for share in [shares.get(kind)]
        },
    }


def _version(database: Database[Document], version: Version, digest: str, stages: list[str]) -> Document:
    proof = evidence.latest(database, digest) or {}
    return {
        "version": str(version),
        "digest": digest,
        "run": version.run,
        "stages": sorted(stages),
        "tested": proof.get("passed"),
        "figures": proof.get("figures", {}),
        "at": proof.get("at"),
    }
