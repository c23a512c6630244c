"""From a started mongod to a usable database: replica set, first user, roles. Each step looks before it acts.

So a crash between two steps is mended by the next `sacristy up`, and a second one changes nothing.
"""

from __future__ import annotations

import time
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from sacristy.errors import OtherSecrets
from sacristy.settings import REPLICA_SET, Role, Settings
from sacristy.stack.ports import HOST
from sacristy.tracking.database import reason
from sacristy.tracking.schema import keep_predictions, provision

Client = MongoClient[dict[str, Any]]
# mongod's error codes
UNAUTHORISED, AUTHENTICATION_FAILED, ALREADY_INITIALISED, NOT_YET_INITIALISED = 13, 18, 23, 94
TIMEOUT_MS = 3000
PRIMARY_WITHIN_S = 60.0  # mongod waits 30 s for whoever sits on its former port and says nothing


def answers(port: int) -> str:
    """Return why mongod does not take commands yet, or an empty string."""
    try:
        with _client(port) as client:
            client.admin.command("hello")
    except PyMongoError as error:
        return reason(error)
    return ""


def prepare(settings: Settings, port: int, name: str = "") -> None:
    """Make an answering mongod ready for use. Raises OtherSecrets, or pymongo's errors.

    `name`: host:port by which the replica set knows itself and others find it, if that is not this host's loopback.
    """
    password = settings.secret(f"mongodb-{Role.ADMIN}")
    name = name or f"{HOST}:{port}"
    _initiate(port, name)
    if not _knows(port, password):
        _wait_for_primary(port)
        _create_admin(settings, port, password)
    with _client(port, password) as client:
        _adopt_name(client, name)
        _wait_for_primary(port)
        keep_predictions(client, settings.prediction_days)
        provision(client, {role: settings.secret(f"mongodb-{role}") for role in Role})


def _client(port: int, password: str = "") -> Client:
    user: dict[str, Any] = (
        {"username": str(Role.ADMIN), "password": password, "authSource": "admin"} if password else {}
    )
    return MongoClient(HOST, port, directConnection=True, serverSelectionTimeoutMS=TIMEOUT_MS, w="majority", **user)


def _initiate(port: int, name: str) -> None:
    """Make the replica set of one, through the localhost exception. Once there are users, there is one already."""
    members = [{"_id": 0, "host": name}]
    with _client(port) as client:
        hello = client.admin.command("hello")
        if "setName" in hello:
            return
        try:
            client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
        except OperationFailure as error:
            if error.code not in (UNAUTHORISED, ALREADY_INITIALISED):  # a set that knows it under another port
                raise


def _knows(port: int, password: str) -> bool:
    try:
        with _client(port, password) as client:
            client.admin.command("ping")
    except OperationFailure as error:
        if error.code == AUTHENTICATION_FAILED:
            return False
        raise
    return True


def _create_admin(settings: Settings, port: int, password: str) -> None:
    try:
        with _client(port) as client:
            client.admin.command("createUser", str(Role.ADMIN), pwd=password, roles=["root"])
    except OperationFailure as error:
        if error.code != UNAUTHORISED:
            raise
        secret = settings.home / "secrets" / f"mongodb-{Role.ADMIN}"
        raise OtherSecrets(folder=settings.home / "mongodb" / "data", secret=secret) from None


def _adopt_name(client: Client, host: str) -> None:
    """Write the port, or name, into the replica set's own record, where it has changed."""
    config = _replica_config(client)
    if config["members"][0]["host"] != host:
        config["members"][0]["host"] = host
        config["version"] += 1
        client.admin.command("replSetReconfig", config, force=True)


def _replica_config(client: Client) -> dict[str, Any]:
    """Return the replica set's own record; mongod answers before it has read that."""
    deadline = time.monotonic() + PRIMARY_WITHIN_S
    while True:
        try:
            return dict(client.admin.command("replSetGetConfig")["config"])
        except OperationFailure as error:
            if error.code != NOT_YET_INITIALISED or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _wait_for_primary(port: int) -> None:
    deadline = time.monotonic() + PRIMARY_WITHIN_S
    with _client(port) as client:
        while not client.admin.command("hello").get("isWritablePrimary"):
            if time.monotonic() > deadline:
                raise PyMongoError("mongod did not become primary")
            time.sleep(0.05)
