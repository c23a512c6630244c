from __future__ import annotations

from dataclasses import dataclass

import pytest

from sacristy.errors import BlobDamaged, InvalidName, PathNotWritable
from sacristy.weights.fetch import fetch
from sacristy.weights.upkeep import collect, unreferenced, verify


@dataclass(frozen=True)
class Listed:
    name: str
    digest: str
    size: int = 1


def damage(store, digest):
    store.path(digest).chmod(0o644)
    store.path(digest).write_bytes(b"something else")


def test_files_are_fetched_under_their_names(store, write, tmp_path):
    digest, _ = store.put(write("a.txt", b"a"))
    (path,) = fetch(store, [Listed("b.txt", digest)], tmp_path / "out")
    assert path == tmp_path / "out" / "b.txt"
    assert path.read_bytes() == b"a"


def test_a_file_that_is_there_stays_and_a_wrong_one_is_replaced(store, write, tmp_path):
    digest, _ = store.put(write("a.txt", b"a"))
    (path,) = fetch(store, [Listed("b.txt", digest)], tmp_path)
    before = path.stat().st_ino
    assert fetch(store, [Listed("b.txt", digest)], tmp_path)[0].stat().st_ino == before
    path.write_bytes(b"wrong")
    fetch(store, [Listed("b.txt", digest)], tmp_path)
    assert path.read_bytes() == b"a"


@pytest.mark.parametrize("name", ["../b.txt", "/etc/b", "a/b", "", ".b", "a\0b"])
def test_a_listed_name_never_leaves_the_folder(store, write, tmp_path, name):
    digest, _ = store.put(write("a.txt", b"a"))
    with pytest.raises(InvalidName):
        fetch(store, [Listed("fine.txt", digest), Listed(name, digest)], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_link_in_the_folder_is_replaced_not_followed(store, write, tmp_path):
    digest, _ = store.put(write("a.txt", b"a"))
    outside = write("outside.txt", b"keep")
    (tmp_path / "b.txt").symlink_to(outside)
    fetch(store, [Listed("b.txt", digest)], tmp_path)
    assert outside.read_bytes() == b"keep"
    assert not (tmp_path / "b.txt").is_symlink()


@pytest.mark.parametrize("folder", ["file", "full"], ids=["a file as folder", "a folder in its place"])
def test_where_it_cannot_be_put_is_one_line(store, write, tmp_path, folder):
    digest, _ = store.put(write("a.txt", b"a"))
    (tmp_path / "file").touch()
    (tmp_path / "full" / "b.txt").mkdir(parents=True)
    with pytest.raises(PathNotWritable):
        fetch(store, [Listed("b.txt", digest)], tmp_path / folder)


def test_a_damaged_blob_is_not_fetched(store, write, tmp_path):
    digest, _ = store.put(write("a.txt", b"a"))
    damage(store, digest)
    with pytest.raises(BlobDamaged):
        fetch(store, [Listed("b.txt", digest)], tmp_path / "out")


def test_verify_reports_all_damage(store, write):
    sound, _ = store.put(write("a.txt", b"a"))
    bad, _ = store.put(write("b.txt", b"b"))
    gone = "sha256:" + "0" * 64
    damage(store, bad)
    found = verify(store, [sound, bad, gone])
    assert (found.sound, found.missing, found.damaged, found.ok) == (1, [gone], [bad], False)
    assert verify(store, [sound, sound]).ok


def test_only_old_unreferenced_blobs_are_collected(store, write):
    kept, _ = store.put(write("a.txt", b"a"))
    lost, _ = store.put(write("b.txt", b"bb"))
    now = next(blob.modified for blob in store.list()) + 100
    assert unreferenced(store, {kept}, grace_s=1000, now=now) == []
    found = unreferenced(store, {kept}, grace_s=10, now=now)
    assert [blob.digest for blob in found] == [lost]
    assert collect(store, found) == found
    assert [blob.digest for blob in store.list()] == [kept]


def test_a_blob_that_was_put_again_is_not_collected(store, write):
    path = write("a.txt", b"a")
    store.put(path)
    found = unreferenced(store, set(), grace_s=-100)
    store.put(path)
    assert collect(store, found) == []
    assert len(list(store.list())) == 1
