"""MongoDB made ready: users that can do no more than they need, indexes, Omniboard's columns. Idempotent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel, MongoClient

from sacristy.settings import DATABASE, Role
from sacristy.tracking.database import Documents

READ = ["find"]
APPEND = ["find", "insert", "update"]
KEEP = ["find", "insert", "update", "remove", "createIndex", "createCollection"]

RUNS = ("runs", "points", "metrics", "fs.files", "fs.chunks")
OMNIBOARD_OWN = ("omniboard.settings", "omniboard.metric.columns", "omniboard.custom.columns")
RECORDS = ("evidence", "approvals", "promotions", "deployments")  # the audit trail: added to, never removed from
SEQUENCES = "sequences"  # counted on, never back
SERVICE_OWN = ("locks",)

INDEXES: dict[str, list[IndexModel]] = {
    "runs": [
        IndexModel(
            [("sacristy.journal.key", ASCENDING)],
            unique=True,
            partialFilterExpression={"sacristy.journal.key": {"$exists": True}},
        ),
        IndexModel([("experiment.name", ASCENDING), ("_id", DESCENDING)]),
        IndexModel([("status", ASCENDING), ("sacristy.seen", ASCENDING)]),
        IndexModel([("omniboard.tags", ASCENDING)]),
        IndexModel([("config.tags", ASCENDING)]),
        IndexModel([("start_time", DESCENDING)]),
        IndexModel([("sacristy.parent", ASCENDING)], sparse=True),
    ],
    "points": [IndexModel([("run", ASCENDING), ("metric", ASCENDING), ("chunk", ASCENDING)], unique=True)],
    "evidence": [IndexModel([("digest", ASCENDING), ("seq", DESCENDING)])],
    "approvals": [IndexModel([("model", ASCENDING), ("stage", ASCENDING), ("digest", ASCENDING)])],
    "promotions": [IndexModel([("model", ASCENDING), ("stage", ASCENDING), ("seq", ASCENDING)])],
    "deployments": [IndexModel([("model", ASCENDING), ("stage", ASCENDING), ("at", DESCENDING)])],
    "metrics": [IndexModel([("run_id", ASCENDING), ("name", ASCENDING)], unique=True)],
    "fs.chunks": [IndexModel([("files_id", ASCENDING), ("n", ASCENDING)], unique=True)],
    "fs.files": [IndexModel([("filename", ASCENDING), ("uploadDate", ASCENDING)])],
}

COLUMNS = {
    "Model": "experiment.name",
    "Weights": "info.weights.size_bytes",
    "Complete": "sacristy.journal.complete",
    "Image": "sacristy.acceptance.digest",
    "Accepted": "sacristy.acceptance.passed",
    "In staging since": "sacristy.stages.staging.at",
    "In production since": "sacristy.stages.production.at",
}


def provision(admin: MongoClient[Any], passwords: Mapping[Role, str]) -> None:
    """Make roles and users (all but the administrator) with these passwords, indexes, and Omniboard's columns."""
    database = admin[DATABASE]
    for role in (Role.TRAINING, Role.SERVICE, Role.OMNIBOARD):
        _set_role(database, role)
        if role in passwords:
            _set_user(database, role, passwords[role])
    for collection, indexes in INDEXES.items():
        database[collection].create_indexes(indexes)
    for name, path in COLUMNS.items():
        column = {"name": name, "config_path": path}
        database["omniboard.custom.columns"].update_one({"config_path": path}, {"$setOnInsert": column}, upsert=True)


def create_admin(client: MongoClient[Any], password: str) -> None:
    """Make the first user of a new server, over the exception that MongoDB grants to localhost for it."""
    client.admin.command("createUser", str(Role.ADMIN), pwd=password, roles=["root"])


def privileges(role: Role) -> list[dict[str, Any]]:
    """Return what a role may do, as MongoDB's createRole takes it."""
    if role is Role.TRAINING:
        return [_on(name, APPEND) for name in RUNS]
    if role is Role.SERVICE:
        records = [_on(name, APPEND) for name in (*RECORDS, SEQUENCES)]
        return [_on("", READ), _on("runs", ["find", "update"]), *records, *(_on(name, KEEP) for name in SERVICE_OWN)]
    return [_on("", READ), _on("runs", ["find", "update"]), *(_on(name, KEEP) for name in OMNIBOARD_OWN)]


def _on(collection: str, actions: list[str]) -> dict[str, Any]:
    extra = ["listCollections", "changeStream"] if collection == "" else ["changeStream"] if "find" in actions else []
    return {"resource": {"db": DATABASE, "collection": collection}, "actions": [*actions, *extra]}


def _set_role(database: Documents, role: Role) -> None:
    name, content = f"sacristy-{role}", privileges(role)
    known = database.command("rolesInfo", {"role": name, "db": DATABASE})["roles"]
    database.command("updateRole" if known else "createRole", name, privileges=content, roles=[])


def _set_user(database: Documents, role: Role, password: str) -> None:
    roles = [{"role": f"sacristy-{role}", "db": DATABASE}]
    known = database.command("usersInfo", {"user": str(role), "db": DATABASE})["users"]
    database.command("updateUser" if known else "createUser", str(role), pwd=password, roles=roles)
