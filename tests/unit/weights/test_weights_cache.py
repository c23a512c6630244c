from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from sacristy.errors import InvalidName
from sacristy.weights.cache import Cache
from sacristy.weights.store import silent
from sacristy.weights.verified import chunks

CONTENT = b"weights"
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


@pytest.fixture
def kept(cache, write):
    with cache.entry(DIGEST) as entry:
        entry.keep(write("a", CONTENT))
    return cache.folder / DIGEST[7:]


def test_what_was_kept_is_given_to_another(cache, kept, tmp_path):
    with cache.entry(DIGEST) as entry:
        assert entry.give(tmp_path / "b", silent)
    assert (tmp_path / "b").read_bytes() == CONTENT
    assert (tmp_path / "b").stat().st_ino != kept.stat().st_ino


def test_what_is_not_here_is_not_given(cache, tmp_path):
    with cache.entry(DIGEST) as entry:
        assert not entry.give(tmp_path / "b", silent)
    assert not (tmp_path / "b").exists()


def test_a_damaged_one_is_dropped(cache, kept, tmp_path):
    kept.write_bytes(b"other")
    with cache.entry(DIGEST) as entry:
        assert not entry.give(tmp_path / "b", silent)
    assert not kept.exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("b")] == []


def test_the_longest_unused_make_room(cache, kept):
    other = cache.folder / ("0" * 64)
    other.write_bytes(bytes(10))
    os.utime(other, (1, 1))
    assert cache.trim(10) == 10
    assert kept.exists()
    assert not other.exists()


def test_a_digest_that_is_none_never_becomes_a_path(cache):
    with pytest.raises(InvalidName), cache.entry("sha256:../x"):
        pass


def test_one_that_another_process_drops_while_it_is_given_is_given(cache, kept, tmp_path, monkeypatch):
    def dropping(source):
        kept.unlink()  # `trim` takes no lock
        return chunks(source)

    monkeypatch.setattr("sacristy.weights.cache.chunks", dropping)
    with cache.entry(DIGEST) as entry:
        assert entry.give(tmp_path / "b", silent)
    assert (tmp_path / "b").read_bytes() == CONTENT


def test_two_processes_may_make_room_at_once(cache, kept, monkeypatch):
    gone = cache.folder / ("0" * 64)
    found = [gone, kept]  # as another process's trim leaves it between the listing and the look at each
    monkeypatch.setattr(Path, "glob", lambda *_: iter(found))
    assert cache.trim(0) == len(CONTENT)
    assert not kept.exists()


def test_a_copy_that_did_not_fit_is_not_left_behind(cache, write, monkeypatch):
    def refuse(*_words):
        raise OSError(18, "Invalid cross-device link")

    def fill(source, target):
        Path(target).write_bytes(b"wei")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(shutil, "copyfile", fill)
    with cache.entry(DIGEST) as entry:
        entry.keep(write("a", CONTENT))
    assert [path.suffix for path in cache.folder.iterdir()] == [".lock"]
