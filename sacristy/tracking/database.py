"""The connection to MongoDB: acknowledged by the majority and journalled, with bounded waits."""

from __future__ import annotations

from typing import Any

from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from sacristy.errors import DatabaseUnreachable
from sacristy.settings import DATABASE, Role, Settings

Documents = Database[dict[str, Any]]


def connect(settings: Settings, role: Role, timeout_ms: int = 5000) -> Documents:
    """Return the database as one of the roles, after it has answered. Raises DatabaseUnreachable, NotInitialised."""
    url = settings.database_url(role, timeout_ms)
    client: MongoClient[dict[str, Any]] | None = None
    try:
        client = open_client(url, timeout_ms)
        database = client.get_default_database(DATABASE)
        database.command("ping")
        database.runs.find_one({}, {"_id": 1})  # a wrong password shows only with the first real question
    except PyMongoError as error:
        if client is not None:
            client.close()
        raise DatabaseUnreachable(address=address(url), reason=reason(error)) from None
    return database


def open_client(url: str, timeout_ms: int = 5000) -> MongoClient[dict[str, Any]]:
    """Return a client that waits for a majority of journalled acknowledgements and gives up in bounded time."""
    return MongoClient(
        url,
        tz_aware=True,
        w="majority",
        journal=True,
        serverSelectionTimeoutMS=timeout_ms,
        connectTimeoutMS=timeout_ms,
        socketTimeoutMS=30_000,
        appname="sacristy",
    )


def address(url: str) -> str:
    """Return the hosts of a MongoDB address, without its user and password."""
    try:
        return ", ".join(f"{host}:{port}" for host, port in parse_uri(url, validate=False)["nodelist"])
    except (PyMongoError, ValueError):
        return "the address given"


def reason(error: Exception) -> str:
    """Return why an operation failed, in a few words."""
    if isinstance(error, OperationFailure) and error.code == 18:
        return "it does not accept this user and password"
    if isinstance(error, ConfigurationError):
        return str(error)
    return str(error).split(", Timeout:")[0].split(" (configured timeouts")[0]
