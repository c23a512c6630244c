from __future__ import annotations

import itertools
import multiprocessing

import pytest
from local.images.registry_promises import *  # noqa: F403
from local.images.registry_promises import put_image

from sacristy.errors import InvalidImage, InvalidLocation, RegistryBusy, TagMoved
from sacristy.images.layout import FolderRegistry, OciLayout
from sacristy.images.registry import open_registry


@pytest.fixture
def registry(tmp_path):
    return FolderRegistry(tmp_path / "registry")


def _promote(root, digests, wins):
    registry = FolderRegistry(root)
    for before, after in itertools.pairwise(digests):
        try:
            registry.tag("toy", "staging", after, expected=before)
            wins.put(after)
        except TagMoved:
            continue


def test_compare_and_set_holds_across_processes(tmp_path):
    registry = FolderRegistry(tmp_path)
    digests = [put_image(registry, bytes([number])) for number in range(20)]
    registry.tag("toy", "staging", digests[0])
    context = multiprocessing.get_context("fork")
    wins = context.Queue()
    workers = [context.Process(target=_promote, args=(tmp_path, digests, wins)) for _ in range(3)]
    for worker in workers:
        worker.start()
    moved = []
    for worker in workers:
        worker.join()
    while not wins.empty():
        moved.append(wins.get())
    assert sorted(set(moved)) == sorted(moved)
    assert registry.tags("toy")["staging"] in digests


def test_a_lock_held_for_too_long_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("sacristy.images.layout.LOCK_S", 0.01)
    layout = OciLayout(tmp_path / "toy")
    with layout.changed_index(), pytest.raises(RegistryBusy), OciLayout(tmp_path / "toy").changed_index():
        pass


def test_a_broken_index_is_told(tmp_path):
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "index.json").write_text("{")
    with pytest.raises(InvalidImage, match=r"index\.json"):
        FolderRegistry(tmp_path).tags("toy")


@pytest.mark.parametrize("location", ["", "ftp://host"])
def test_other_locations_are_no_registry(location):
    with pytest.raises(InvalidLocation):
        open_registry(location)
