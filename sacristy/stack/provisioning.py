"""A MongoDB that the stack does not run, made ready: the same users, rights and indexes as the embedded one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pymongo.errors import OperationFailure, PyMongoError
from pymongo.uri_parser import parse_uri

from sacristy.errors import DatabaseNotProvisioned, DatabaseUnreachable
from sacristy.settings import DATABASE, Role, Settings
from sacristy.tracking.database import address, open_client, reason
from sacristy.tracking.schema import keep_predictions, provision

TIMEOUT_MS = 5000


@dataclass(frozen=True)
class Provisioned:
    """What was made: each user with the file of its password, and the address to set (without any password)."""

    users: dict[str, Path]
    address: str


def provision_at(settings: Settings, url: str) -> Provisioned:
    """Make users (with this project's secrets), rights, indexes and columns, by an administrator's address.

    Idempotent: passwords become those of the secrets again. Raises NotInitialised (no secrets), DatabaseUnreachable
    or DatabaseNotProvisioned.
    """
    roles: list[Role] = [role for role in Role if role != Role.ADMIN]
    passwords = {role: settings.secret(f"mongodb-{role}") for role in roles}
    try:
        with open_client(url, TIMEOUT_MS) as client:
            replica_set = client.admin.command("hello").get("setName")
            if not replica_set:
                why = "it is no replica set, without which it has neither majority writes nor change streams"
                raise DatabaseNotProvisioned(address=address(url), reason=why)
            keep_predictions(client, settings.prediction_days)
            provision(client, passwords)
    except OperationFailure as error:
        raise DatabaseNotProvisioned(address=address(url), reason=reason(error)) from None
    except (PyMongoError, ValueError) as error:
        raise DatabaseUnreachable(address=address(url), reason=reason(error)) from None
    hosts = ",".join(f"{host}:{port}" for host, port in parse_uri(url)["nodelist"])
    users = {str(role): settings.home / "secrets" / f"mongodb-{role}" for role in roles}
    return Provisioned(users, f"mongodb://{hosts}/{DATABASE}?replicaSet={replica_set}")
