"""When the doctor speaks of backups: where they stopped, or never began."""

from datetime import UTC, datetime, timedelta

import pytest

from sacristy.settings import Role
from sacristy.stack.backup_index import Backup
from sacristy.stack.backup_log import late, note
from sacristy.stack.findings import late_backups
from sacristy.tracking.schema import privileges

BEGAN = datetime(2090, 1, 1, tzinfo=UTC)  # later than all that other tests write into this database


@pytest.fixture
def settings(mongod, project, tmp_path):
    database = mongod.database()
    yield mongod.settings(project, tmp_path / "home", Role.SERVICE)
    database.backups.delete_many({})
    database.runs.delete_many({"_id": 470_001})


def made(at):
    return Backup(f"backup-{at:%Y%m%d}", at.isoformat())


def test_only_the_newest_backup_counts(settings, mongod):
    note(settings, made(BEGAN), "/mnt/usb")
    note(settings, made(BEGAN + timedelta(days=30)), "s3://away")
    note(settings, made(BEGAN + timedelta(days=31)), "s3://away")
    assert mongod.database().backups.count_documents({}) == 2
    assert late(mongod.database(), BEGAN + timedelta(days=34)) == ""
    said = late(mongod.database(), BEGAN + timedelta(days=35))
    assert said == "the last backup, backup-20900201 in s3://away, is 4 days old"


def test_a_stack_with_runs_of_last_week_should_have_a_backup(settings, mongod):
    database = mongod.database()
    database.backups.delete_many({})
    database.runs.insert_one({"_id": 470_001, "start_time": datetime(2001, 1, 1, tzinfo=UTC)})
    assert late(database, datetime(2001, 1, 8, tzinfo=UTC)) == ""
    assert late(database, datetime(2001, 1, 9, tzinfo=UTC)).startswith("nothing was ever backed up")
    (finding,) = late_backups(settings)
    assert finding.mend.startswith("sacristy backup PLACE")


def test_a_place_that_may_not_be_noted_fails_no_backup(settings, mongod, caplog):
    mongod.database().command("updateRole", "sacristy-service", privileges=[], roles=["read"])
    try:
        note(settings, made(BEGAN), "/mnt/usb")
    finally:
        mongod.database().command("updateRole", "sacristy-service", privileges=privileges(Role.SERVICE), roles=[])
    assert "not known to the doctor" in caplog.text
    assert mongod.database().backups.count_documents({}) == 0
