from __future__ import annotations

import hashlib
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sacristy.errors import BlobDamaged, BlobNotFound, InvalidLocation, InvalidName, PathNotWritable, WeightsRefused
from sacristy.weights.folder import FolderStore
from sacristy.weights.store import open_store
from sacristy.weights.verified import chunks


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


def test_what_was_put_comes_back_under_its_sha256(store, write, tmp_path):
    digest, size = store.put(write("a.txt", b"weights"))
    assert (digest, size) == (digest_of(b"weights"), 7)
    store.get(digest, tmp_path / "deep" / "b.txt")
    assert (tmp_path / "deep" / "b.txt").read_bytes() == b"weights"


def test_an_empty_file_can_be_stored(store, write, tmp_path):
    digest, size = store.put(write("a.txt", b""))
    store.get(digest, tmp_path / "b.txt")
    assert size == 0
    assert (tmp_path / "b.txt").read_bytes() == b""


def test_a_large_file_goes_through_in_pieces_and_reports_them(store, write, tmp_path):
    content = os.urandom(9 << 20)
    seen = []
    digest, size = store.put(write("a.txt", content), seen.append)
    assert sum(seen) == size == len(content)
    assert len(seen) > 1
    store.get(digest, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == content


def test_a_flipped_byte_is_refused_and_leaves_no_file(store, write, tmp_path):
    digest, _ = store.put(write("a.txt", b"weights"))
    flip(store.path(digest))
    with pytest.raises(BlobDamaged) as caught:
        store.get(digest, tmp_path / "out" / "b.txt")
    assert caught.value.fields["key"] == "blobs/sha256/" + digest[7:]
    assert caught.value.fields["expected"] == digest
    assert caught.value.fields["found"] == digest_of(b"weifhts")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("content", [b"weight", b"weights and more", b""])
def test_a_truncated_or_longer_blob_is_refused(store, write, tmp_path, content):
    digest, _ = store.put(write("a.txt", b"weights"))
    store.path(digest).chmod(0o644)
    store.path(digest).write_bytes(content)
    with pytest.raises(BlobDamaged):
        store.get(digest, tmp_path / "b.txt")


def test_a_damaged_blob_keeps_the_file_that_was_there(store, write, tmp_path):
    digest, _ = store.put(write("a.txt", b"weights"))
    flip(store.path(digest))
    target = write("b.txt", b"before")
    with pytest.raises(BlobDamaged):
        store.get(digest, target)
    assert target.read_bytes() == b"before"


def test_a_stream_fails_before_its_last_byte_is_handed_over(store, write):
    digest, _ = store.put(write("a.txt", b"weights"))
    flip(store.path(digest))
    with store.open(digest) as source:
        assert source.read(6) == b"weifht"
        with pytest.raises(BlobDamaged):
            source.read(1)


def test_a_stream_that_goes_back_is_still_verified(store, write):
    digest, _ = store.put(write("a.txt", b"weights"))
    with store.open(digest) as source:
        assert source.read(5) == b"weigh"
        source.seek(2)
        assert b"".join(bytes(chunk) for chunk in chunks(source, 2)) == b"ights"


def test_reading_nothing_is_not_the_end(store, write):
    digest, _ = store.put(write("a.txt", b"weights"))
    with store.open(digest) as source:
        assert source.read(0) == b""
        assert source.readinto(bytearray()) == 0
        assert source.read() == b"weights"


def test_putting_again_heals_a_damaged_blob(store, write, tmp_path):
    path = write("a.txt", b"weights")
    digest, _ = store.put(path)
    flip(store.path(digest))
    store.put(path)
    store.get(digest, tmp_path / "b.txt")


def test_a_missing_blob_is_named(store):
    with pytest.raises(BlobNotFound, match="blobs/sha256/0000"):
        store.open("sha256:" + "0" * 64)


def test_a_file_that_is_not_there_cannot_be_put(store, tmp_path):
    with pytest.raises(WeightsRefused, match="No such file"):
        store.put(tmp_path / "nothing")


def test_a_put_with_another_digest_than_expected_stores_nothing(store, write):
    with write("a.txt", b"weights").open("rb") as source, pytest.raises(BlobDamaged):
        store.put_stream(source, expected="sha256:" + "0" * 64)
    assert list(store.list()) == []
    assert list((store.folder / "incoming").iterdir()) == []


def test_blobs_are_listed_and_deleted(store, write):
    first, _ = store.put(write("a.txt", b"a"))
    second, _ = store.put(write("b.txt", b"bb"))
    assert [(blob.digest, blob.size) for blob in store.list()] == sorted([(first, 1), (second, 2)])
    store.delete(first)
    store.delete(first)
    assert [blob.digest for blob in store.list()] == [second]
    assert store.has(second)
    assert not store.has(first)


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
