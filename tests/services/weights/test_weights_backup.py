"""A backup of a real database and its weights, brought back onto an empty stack."""

from __future__ import annotations

import gridfs
import pytest

from sacristy.datasets import md5_of
from sacristy.errors import BackupUnusable, StackNotEmpty
from sacristy.settings import Role
from sacristy.stack import backup as keeping
from sacristy.stack.vault import BucketVault, FolderVault
from sacristy.weights.folder import FolderStore

DATA = "files/md5/e5/ebd4c02cefbe7955977c67ada242b7"  # as DVC keeps it


@pytest.fixture
def source(mongod, project, tmp_path):
    """Settings and store of a stack with a run that has weights, and a file in GridFS, both removed at the end."""
    home, database = tmp_path / "source", mongod.database()
    store = FolderStore(home / "weights")
    (tmp_path / "weights.txt").write_text("weights")
    digest, size = store.put(tmp_path / "weights.txt")
    file = {"name": "weights.txt", "digest": digest, "size": size, "role": "weights"}
    (home / "data" / DATA).parent.mkdir(parents=True)
    (home / "data" / DATA).write_bytes(b"a,b\n1,2\n")
    database.runs.insert_one({"_id": 460_001, "status": "COMPLETED", "sacristy": {"weights": [file]}})
    gridfs.GridFS(database).put(b"x" * 300_000, _id="backup-test", filename="artifact")
    yield mongod.settings(project, home, Role.SERVICE), store
    database.runs.delete_one({"_id": 460_001})
    gridfs.GridFS(database).delete("backup-test")


@pytest.fixture
def empty(killable_mongod, project, tmp_path):
    """Settings and store of an empty stack."""
    return killable_mongod.settings(project, tmp_path / "empty", Role.ADMIN), FolderStore(tmp_path / "empty" / "w")


def contents(database):
    names = database.list_collection_names(filter={"type": "collection"})
    return {name: list(database[name].find().sort("_id")) for name in names if not name.startswith("system.")}


def test_all_comes_back_and_the_weights_are_verified(source, empty, mongod, killable_mongod, tmp_path):
    vault = FolderVault(tmp_path / "backups")
    made, copied = keeping.backup(*source, vault, [])
    assert (copied.copied, copied.lost, made.data) == (2, [], [DATA])
    restored = keeping.restore(*empty, vault)
    assert restored.backup == made
    assert restored.ok
    assert restored.verified.sound == 1
    assert md5_of(empty[0].home / "data" / DATA) == DATA[10:].replace("/", "")
    before, after = contents(mongod.database()), contents(killable_mongod.database())
    kept = {name: documents for name, documents in before.items() if documents and name not in keeping.LEFT_OUT}
    assert {name: after[name] for name in kept} == kept
    assert gridfs.GridFS(killable_mongod.database()).get("backup-test").read() == b"x" * 300_000
    assert keeping.restore(*empty, vault).ok  # again changes nothing
    for collection in ("feedback", "runs"):
        killable_mongod.database()[collection].insert_one({"_id": 9})
        with pytest.raises(StackNotEmpty, match=rf"{collection} .* such as 9"):
            keeping.restore(*empty, vault)


def test_a_second_backup_copies_only_what_is_new(source, tmp_path):
    vault = FolderVault(tmp_path / "backups")
    keeping.backup(*source, vault, [])
    _, copied = keeping.backup(*source, vault, [])
    assert (copied.copied, copied.present) == (0, 2)


def test_a_blob_that_is_lost_already_is_said(source, tmp_path):
    settings, store = source
    gone = "sha256:" + "0" * 64
    made, copied = keeping.backup(settings, store, FolderVault(tmp_path / "backups"), [gone])
    assert copied.lost == [gone]
    assert gone not in made.blobs


def test_data_that_is_damaged_already_is_said(source, tmp_path):
    settings, store = source
    (settings.home / "data" / DATA).write_bytes(b"a,b\n1,3\n")
    made, copied = keeping.backup(settings, store, FolderVault(tmp_path / "backups"), [])
    assert (copied.lost, made.data) == ([DATA], [])


def test_data_that_was_damaged_in_the_backup_is_not_restored(source, empty, tmp_path):
    vault = FolderVault(tmp_path / "backups")
    keeping.backup(*source, vault, [])
    (tmp_path / "backups" / DATA).chmod(0o600)
    (tmp_path / "backups" / DATA).write_bytes(b"a,b\n1,3\n")
    restored = keeping.restore(*empty, vault)
    assert (restored.ok, restored.damaged_data) == (False, [DATA])
    assert not (empty[0].home / "data" / DATA).exists()


def test_a_damaged_or_unfinished_backup_is_not_restored(source, tmp_path):
    settings, store = source
    vault = FolderVault(tmp_path / "backups")
    with pytest.raises(BackupUnusable, match="there is none"):
        keeping.restore(settings, store, vault)
    made, _ = keeping.backup(settings, store, vault, [])
    with (tmp_path / "backups" / made.name / "mongodb" / "runs.bson").open("ab") as file:
        file.write(b"more")
    with pytest.raises(BackupUnusable, match=r"runs\.bson is damaged"):
        keeping.restore(settings, store, vault)
    (tmp_path / "backups" / made.name / "backup.json").unlink()
    with pytest.raises(BackupUnusable, match="there is none"):
        keeping.restore(settings, store, vault, made.name)


@pytest.mark.ceph
def test_a_backup_in_a_bucket_comes_back_into_another(source, empty, store):
    vault = BucketVault(store)
    keeping.backup(*source, vault, [])
    restored = keeping.restore(*empty, vault)
    assert (restored.ok, restored.verified.sound, restored.backup.data) == (True, 1, [DATA])
