"""When backups were made, so that the doctor can tell when they stopped: a timer that fails does so in silence."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from pymongo.errors import PyMongoError

from sacristy.settings import Role, Settings
from sacristy.stack.backup_index import Backup
from sacristy.tracking.database import Documents, connect, reason
from sacristy.tracking.schema import BACKUPS

log = logging.getLogger(__name__)

LATE_AFTER = timedelta(days=3)
FIRST_WITHIN = timedelta(days=7)  # of the first run


def note(settings: Settings, made: Backup, location: str) -> None:
    """Keep when a place got its newest backup. That cannot fail a backup: it is made. Raises DatabaseUnreachable."""
    database = connect(settings, Role.SERVICE)
    with database.client:
        kept = {"name": made.name, "at": datetime.fromisoformat(made.at)}
        try:
            database[BACKUPS].update_one({"_id": location}, {"$set": kept}, upsert=True)
        except PyMongoError as error:  # such as rights of before the last upgrade
            log.warning("when this backup was made is not known to the doctor: %s", reason(error))


def late(database: Documents, now: datetime | None = None) -> str:
    """Return what is wrong with the backups' times, or nothing. Raises pymongo's errors."""
    now = now or datetime.now(UTC)
    newest = database[BACKUPS].find_one(sort=[("at", -1)])
    if newest and now - newest["at"] > LATE_AFTER:
        return f"the last backup, {newest['name']} in {newest['_id']}, is {(now - newest['at']).days} days old"
    first = None if newest else database.runs.find_one({"start_time": {"$type": "date"}}, sort=[("start_time", 1)])
    if first and now - first["start_time"].astimezone(UTC) > FIRST_WITHIN:
        return f"nothing was ever backed up, and the first run is {(now - first['start_time']).days} days old"
    return ""
