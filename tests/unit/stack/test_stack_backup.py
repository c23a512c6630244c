"""A backup of a stack that is at work, without its services."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from contextlib import nullcontext
from types import SimpleNamespace

import bson
import pytest
from bson.raw_bson import RawBSONDocument

from sacristy.errors import StackNotEmpty
from sacristy.settings import DATABASE, Settings
from sacristy.stack import backup as keeping
from sacristy.stack.vault import FolderVault
from sacristy.weights.folder import FolderStore
from sacristy.weights.mirror import mirror


@pytest.fixture
def settings(tmp_path):
    return Settings(project=tmp_path, home=tmp_path / "home")


@pytest.fixture
def database(monkeypatch, tmp_path):
    """A database: its runs, and what they refer to, as pairs; `meanwhile` is called just before it is dumped."""

    database = SimpleNamespace(pairs=[], runs=[], meanwhile=lambda: None)
    none = SimpleNamespace(find=lambda _: iter(()))
    raw = defaultdict(lambda: none, runs=SimpleNamespace(find=lambda _: iter(database.runs)))
    client = {DATABASE: SimpleNamespace(with_options=lambda **_: raw)}

    def dump(_client, folder):
        database.meanwhile()
        (folder / "runs.bson").write_bytes(b"")
        yield "runs", folder / "runs.bson"

    monkeypatch.setattr(keeping, "_database", lambda *_: nullcontext(client))
    monkeypatch.setattr(keeping, "_dump", dump)
    monkeypatch.setattr(keeping, "run_weights", lambda _: iter(database.pairs))
    return database


def keep_data(settings, content):
    """Put data where DVC does, and return its key."""
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    path = settings.home / "data" / "files" / "md5" / md5[:2] / md5[2:]
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return f"files/md5/{md5[:2]}/{md5[2:]}"


def test_the_weights_of_a_run_that_came_before_the_dump_are_in_the_backup(settings, database, tmp_path):
    store, vault = FolderStore(tmp_path / "store"), FolderVault(tmp_path / "backups")
    (tmp_path / "a.txt").write_bytes(b"weights")
    digest, _ = store.put(tmp_path / "a.txt")
    database.meanwhile = lambda: database.pairs.append(("run 1", digest))
    made, _ = keeping.backup(settings, store, vault, [])
    assert made.blobs == [digest]
    assert vault.blobs.has(digest)


def test_data_that_is_pushed_while_a_backup_copies_is_not_said_to_be_in_it(settings, database, tmp_path, monkeypatch):
    vault, known = FolderVault(tmp_path / "backups"), keep_data(settings, b"a,b\n1,2\n")
    copy = keeping.copy_data

    def copy_while_pushed(*words):
        found = copy(*words)
        keep_data(settings, b"a,b\n3,4\n")
        return found

    monkeypatch.setattr(keeping, "copy_data", copy_while_pushed)
    made, _ = keeping.backup(settings, FolderStore(tmp_path / "store"), vault, [])
    assert made.data == [known]


def test_a_run_that_begins_while_a_restore_copies_is_not_overwritten(settings, database, tmp_path, monkeypatch):
    store, vault, loaded = FolderStore(tmp_path / "store"), FolderVault(tmp_path / "backups"), []
    keeping.backup(settings, store, vault, [])

    def copy_while_trained(*words):
        database.runs.append(RawBSONDocument(bson.encode({"_id": 7})))
        return mirror(*words)

    monkeypatch.setattr(keeping, "mirror", copy_while_trained)
    monkeypatch.setattr(keeping, "_load", lambda *_: loaded.append(1))
    with pytest.raises(StackNotEmpty, match=r"runs .* such as 7"):
        keeping.restore(settings, store, vault)
    assert loaded == []


def test_a_restore_replaces_what_is_damaged_in_the_store(settings, database, tmp_path, monkeypatch):
    store, vault = FolderStore(tmp_path / "store"), FolderVault(tmp_path / "backups")
    (tmp_path / "a.txt").write_bytes(b"weights")
    digest, _ = store.put(tmp_path / "a.txt")
    keeping.backup(settings, store, vault, [digest])
    store.path(digest).chmod(0o644)
    store.path(digest).write_bytes(b"weighty")
    monkeypatch.setattr(keeping, "_load", lambda *_: None)
    assert keeping.restore(settings, store, vault).ok
    assert store.path(digest).read_bytes() == b"weights"
