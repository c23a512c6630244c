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
PREDICTIONS = "predictions"  # a time series
COUNTED = ("prediction_counts", "comparisons")
FEEDBACK = "feedback"
COUNTS_PER_MINUTE_S = 7 * 86_400
BACKUPS = "backups"  # when each place got its newest
SERVICE_OWN = ("locks", "watchers", BACKUPS)
CALLS = "calls"  # when stages that may sleep were asked: a document for each

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
        IndexModel([("sacristy.trial.search", ASCENDING)], sparse=True),
        IndexModel([("sacristy.card_due", ASCENDING)], sparse=True),
        IndexModel([("sacristy.stage", ASCENDING)], sparse=True),
    ],
    "points": [IndexModel([("run", ASCENDING), ("metric", ASCENDING), ("chunk", ASCENDING)], unique=True)],
    "evidence": [IndexModel([("digest", ASCENDING), ("seq", DESCENDING)])],
    "approvals": [IndexModel([("model", ASCENDING), ("stage", ASCENDING), ("digest", ASCENDING)])],
    "promotions": [IndexModel([("model", ASCENDING), ("stage", ASCENDING), ("seq", ASCENDING)])],
    "deployments": [IndexModel([("model", ASCENDING), ("stage", ASCENDING), ("at", DESCENDING)])],
    "prediction_counts": [
        IndexModel([("model", ASCENDING), ("stage", ASCENDING), ("span", ASCENDING), ("at", ASCENDING)]),
        IndexModel(
            [("at", ASCENDING)],
            name="minutes go",
            expireAfterSeconds=COUNTS_PER_MINUTE_S,
            partialFilterExpression={"span": "minute"},
        ),
    ],
    "comparisons": [IndexModel([("model", ASCENDING), ("stage", ASCENDING), ("at", ASCENDING)])],
    "feedback": [IndexModel([("model", ASCENDING), ("stage", ASCENDING), ("at", ASCENDING)])],
    "metrics": [IndexModel([("run_id", ASCENDING), ("name", ASCENDING)], unique=True)],
    "fs.chunks": [IndexModel([("files_id", ASCENDING), ("n", ASCENDING)], unique=True)],
    "fs.files": [IndexModel([("filename", ASCENDING), ("uploadDate", ASCENDING)])],
}

COLUMNS = {
    "Model": "experiment.name",
    "Score": "sacristy.score",
    "Weights": "info.weights.size_bytes",
    "Complete": "sacristy.journal.complete",
    "Image": "sacristy.acceptance.digest",
    "Accepted": "sacristy.acceptance.passed",
    "Stage": "sacristy.stage",
    "Deployed": "sacristy.deployments.production.state",
}


def provision(admin: MongoClient[Any], passwords: Mapping[Role, str]) -> None:
    """Make roles and users (all but the administrator) with these passwords, indexes, and Omniboard's columns."""
    database = admin[DATABASE]
    for role in (Role.TRAINING, Role.SERVICE, Role.OMNIBOARD, Role.GATEWAY):
        _set_role(database, role)
        if role in passwords:
            _set_user(database, role, passwords[role])
    for collection, indexes in INDEXES.items():
        database[collection].create_indexes(indexes)
    for name, path in COLUMNS.items():
        column = {"name": name, "config_path": path}
        database["omniboard.custom.columns"].update_one({"config_path": path}, {"$setOnInsert": column}, upsert=True)


def keep_predictions(admin: MongoClient[Any], days: int) -> None:
    """Make the time series of predictions, and have MongoDB forget what is older than so many days."""
    database, seconds = admin[DATABASE], days * 86_400
    if PREDICTIONS not in database.list_collection_names(filter={"name": PREDICTIONS}):
        series = {"timeField": "at", "metaField": "of", "granularity": "seconds"}
        database.create_collection(PREDICTIONS, timeseries=series, expireAfterSeconds=seconds)
    database.command("collMod", PREDICTIONS, expireAfterSeconds=seconds)


def create_admin(client: MongoClient[Any], password: str) -> None:
    """Make the first user of a new server, over the exception that MongoDB grants to localhost for it."""
    client.admin.command("createUser", str(Role.ADMIN), pwd=password, roles=["root"])


def privileges(role: Role) -> list[dict[str, Any]]:
    """Return what a role may do, as MongoDB's createRole takes it."""
    if role is Role.TRAINING:
        return [_on(name, APPEND) for name in RUNS]
    if role is Role.SERVICE:
        records = [_on(name, APPEND) for name in (*RECORDS, SEQUENCES, CALLS)]
        return [_on("", READ), _on("runs", ["find", "update"]), *records, *(_on(name, KEEP) for name in SERVICE_OWN)]
    if role is Role.GATEWAY:
        read = [_on(name, READ) for name in RECORDS]
        own = [_on(PREDICTIONS, ["find", "insert"]), _on(FEEDBACK, ["find", "insert"])]
        return [*read, *own, *(_on(name, APPEND) for name in (*COUNTED, CALLS))]
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
