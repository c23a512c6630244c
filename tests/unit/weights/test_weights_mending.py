"""Blobs brought again from another store."""

from __future__ import annotations

import pytest

from sacristy.weights.folder import FolderStore
from sacristy.weights.mending import mend
from sacristy.weights.upkeep import verify


def spoil(store, digest):
    store.path(digest).chmod(0o644)
    store.path(digest).write_bytes(b"other")


@pytest.fixture
def source(tmp_path):
    return FolderStore(tmp_path / "source")


def test_what_is_missing_or_damaged_comes_again_and_what_is_sound_stays(store, source, write):
    files = [write(f"{name}.txt", name.encode()) for name in ("sound", "damaged", "missing")]
    sound, damaged, missing = digests = [source.put(path)[0] for path in files]
    store.put(files[0])
    store.put(files[1])
    spoil(store, damaged)
    before = store.find(sound)
    copied = mend(store, source, verify(store, digests))
    assert (copied.copied, copied.lost) == (2, [])
    assert verify(store, digests).sound == 3
    assert store.find(sound) == before
    assert missing in {blob.digest for blob in store.list()}


def test_a_damaged_blob_stays_where_the_source_has_none_that_is_sound(store, source, write):
    digest, _ = source.put(write("a.txt", b"weights"))
    store.put(write("a.txt", b"weights"))
    for place in (store, source):
        spoil(place, digest)
    assert mend(store, source, verify(store, [digest])).lost == [digest]
    assert store.has(digest)
