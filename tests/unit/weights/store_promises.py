"""What every store must do: test files import these tests and give the fixtures `store` and `overwrite`."""

from __future__ import annotations

import hashlib
import os

import pytest

from sacristy.errors import BlobDamaged, BlobNotFound, InvalidName, WeightsRefused
from sacristy.weights.fetch import fetch
from sacristy.weights.upkeep import collect, unreferenced, verify
from sacristy.weights.verified import chunks

NOTHING = "sha256:" + "0" * 64
LARGE = 9 << 20  # bytes: two parts for a bucket


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


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


@pytest.mark.parametrize("size", [LARGE - (1 << 20), LARGE, LARGE - (1 << 20) - 1])
def test_a_large_file_goes_through_in_pieces_and_reports_them(store, write, tmp_path, size):
    content = os.urandom(size)
    sent, received = [], []
    digest, stored = store.put(write("a.txt", content), sent.append)
    store.get(digest, tmp_path / "b", received.append)
    assert sum(sent) == sum(received) == stored == size
    assert digest == digest_of(content)
    assert (tmp_path / "b").read_bytes() == content


def test_putting_a_large_file_again_gives_the_same(store, write):
    path = write("a.txt", os.urandom(LARGE))
    seen = []
    assert store.put(path) == store.put(path, seen.append)
    assert sum(seen) == LARGE
    assert len(list(store.list())) == 1


def test_a_file_that_only_begins_and_ends_like_another_is_another(store, write, tmp_path):
    content = bytearray(os.urandom(LARGE))
    store.put(write("a.txt", content))
    content[-5] ^= 1
    digest, _ = store.put(write("a.txt", content))
    store.get(digest, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == content
    assert len(list(store.list())) == 2


def test_a_flipped_byte_is_refused_and_leaves_no_file(store, write, overwrite, tmp_path):
    digest, _ = store.put(write("a.txt", b"weights"))
    overwrite(digest, b"weifhts")
    with pytest.raises(BlobDamaged) as caught:
        store.get(digest, tmp_path / "out" / "b.txt")
    assert caught.value.fields["key"] == "blobs/sha256/" + digest[7:]
    assert caught.value.fields["expected"] == digest
    assert caught.value.fields["found"] == digest_of(b"weifhts")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("content", [b"weight", b"weights and more", b""])
def test_a_truncated_or_longer_blob_is_refused(store, write, overwrite, tmp_path, content):
    digest, _ = store.put(write("a.txt", b"weights"))
    overwrite(digest, content)
    with pytest.raises(BlobDamaged):
        store.get(digest, tmp_path / "b.txt")


def test_a_damaged_blob_keeps_the_file_that_was_there(store, write, overwrite):
    digest, _ = store.put(write("a.txt", b"weights"))
    overwrite(digest, b"weifhts")
    target = write("b.txt", b"before")
    with pytest.raises(BlobDamaged):
        store.get(digest, target)
    assert target.read_bytes() == b"before"


def test_a_stream_fails_before_its_last_byte_is_handed_over(store, write, overwrite):
    digest, _ = store.put(write("a.txt", b"weights"))
    overwrite(digest, b"weifhts")
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


def test_a_missing_blob_is_named(store, tmp_path):
    with pytest.raises(BlobNotFound, match="blobs/sha256/0000"):
        store.open(NOTHING)
    with pytest.raises(BlobNotFound, match="blobs/sha256/0000"):
        store.get(NOTHING, tmp_path / "b.txt")
    assert not (tmp_path / "b.txt").exists()


def test_a_digest_that_is_none_is_refused(store):
    for wrong in ("sha256:../../x", "x", "md5:" + "0" * 32):
        with pytest.raises(InvalidName):
            store.has(wrong)


def test_a_file_that_is_not_there_cannot_be_put(store, tmp_path):
    with pytest.raises(WeightsRefused, match="No such file"):
        store.put(tmp_path / "nothing")


def test_blobs_are_listed_and_deleted(store, write):
    first, _ = store.put(write("a.txt", b"a"))
    second, _ = store.put(write("b.txt", b"bb"))
    assert [(blob.digest, blob.size) for blob in store.list()] == sorted([(first, 1), (second, 2)])
    store.delete(first)
    store.delete(first)
    assert [blob.digest for blob in store.list()] == [second]
    assert store.has(second)
    assert not store.has(first)


def test_verify_reports_all_damage_of_the_store(store, write, overwrite):
    sound, _ = store.put(write("a.txt", b"a"))
    bad, _ = store.put(write("b.txt", b"b"))
    overwrite(bad, b"x")
    found = verify(store, [sound, bad, NOTHING])
    assert (found.sound, found.missing, found.damaged, found.ok) == (1, [NOTHING], [bad], False)


def test_only_what_nothing_refers_to_and_is_old_is_collected(store, write):
    kept, _ = store.put(write("a.txt", b"a"))
    store.put(write("b.txt", b"bb"))
    now = max(blob.modified for blob in store.list()) + 100
    assert unreferenced(store, {kept}, grace_s=1000, now=now) == []
    assert [blob.size for blob in collect(store, unreferenced(store, {kept}, grace_s=10, now=now))] == [2]
    assert [blob.digest for blob in store.list()] == [kept]


@pytest.mark.parametrize("size", [1, LARGE])
def test_a_blob_that_was_put_again_counts_as_new(store, write, size):
    path = write("a.txt", os.urandom(size))
    store.put(path)
    found = unreferenced(store, set(), grace_s=-100)
    store.put(path)
    assert collect(store, found) == []
    assert [store.find(blob.digest) for blob in store.list()] == list(store.list()) != []


def test_a_blob_that_is_put_again_while_others_are_collected_is_kept(store, write):
    found = [store.put(write(f"{name}.txt", name.encode()))[0] for name in "ab"]
    first, last = unreferenced(store, set(), grace_s=-100)
    remaining = iter([first, last])

    def put_again_in_between():
        yield next(remaining)
        store.put(write("again.txt", b"a" if last.digest == found[0] else b"b"))
        yield next(remaining)

    assert collect(store, put_again_in_between()) == [first]
    assert [blob.digest for blob in store.list()] == [last.digest]
    assert store.find(first.digest) is None


def test_nothing_unfinished_is_left(store, write):
    store.put(write("a.txt", os.urandom(LARGE)))
    assert store.clear_unfinished(-100) == 0


def test_a_runs_files_are_fetched_under_their_names(store, write, tmp_path):
    class Listed:
        name = "b.txt"
        digest, size = store.put(write("a.txt", b"a"))

    (path,) = fetch(store, [Listed()], tmp_path / "out")
    assert path == tmp_path / "out" / "b.txt"
    assert path.read_bytes() == b"a"
