from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.weights.store_promises import *  # noqa: F403

from sacristy.errors import BlobDamaged, InvalidLocation, InvalidName, PathNotWritable
from sacristy.weights.folder import FolderStore
from sacristy.weights.store import open_store


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


@pytest.fixture
def overwrite(store):
    """Return a function that puts other bytes where a blob is."""

    def overwrite(digest, content):
        store.path(digest).chmod(0o644)
        store.path(digest).write_bytes(content)

    return overwrite


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def test_putting_again_heals_a_damaged_blob(store, write, tmp_path):
    path = write("a.txt", b"weights")
    digest, _ = store.put(path)
    flip(store.path(digest))
    store.put(path)
    store.get(digest, tmp_path / "b.txt")


def test_a_put_with_another_digest_than_expected_stores_nothing(store, write):
    with write("a.txt", b"weights").open("rb") as source, pytest.raises(BlobDamaged):
        store.put_stream(source, expected="sha256:" + "0" * 64)
    assert list(store.list()) == []
    assert list((store.folder / "incoming").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_error(write):
    with pytest.raises(PathNotWritable):
        FolderStore(write("file", b"") / "store").put(write("a.txt", b"a"))


def test_a_full_disk_is_one_error_and_leaves_nothing(store, write, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PathNotWritable, match="No space left"):
        store.put(write("a.txt", b"a"))
    assert list(store.list()) == []
    assert list((store.folder / "incoming").iterdir()) == []


def test_leftovers_of_killed_writers_are_cleared(store, write):
    store.put(write("a.txt", b"a"))
    leftover = store.folder / "incoming" / ".blob.x.part"
    leftover.write_bytes(b"12345")
    assert store.clear_unfinished(3600) == 0
    os.utime(leftover, (0, 0))
    assert store.clear_unfinished(3600) == 5
    assert not leftover.exists()


def test_a_writer_that_ends_while_leftovers_are_cleared_is_no_failure(store, monkeypatch):
    ended = store.folder / "incoming" / ".blob.x.part"
    monkeypatch.setattr(Path, "glob", lambda *_: iter([ended]))
    assert store.clear_unfinished(3600) == 0


def test_many_writers_of_one_blob_leave_one_sound_blob(store, write, tmp_path):
    path = write("a.txt", os.urandom(1 << 20))
    threads = [threading.Thread(target=store.put, args=(path,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (blob,) = store.list()
    store.get(blob.digest, tmp_path / "b")


@given(st.text())
def test_no_text_but_a_digest_becomes_a_path(tmp_path_factory, text):
    store = FolderStore(tmp_path_factory.getbasetemp())
    with pytest.raises(InvalidName):
        store.path(text)


@pytest.mark.parametrize("location", ["", "ftp://host", "gopher://x"])
def test_other_locations_are_refused(location):
    with pytest.raises(InvalidLocation):
        open_store(location)
