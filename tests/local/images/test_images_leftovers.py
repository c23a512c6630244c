"""What this machine keeps of images: what may go of it goes, what is in use or young or an environment stays."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time

import pytest

from sacristy.errors import BlobDamaged
from sacristy.images.base import copy_base, open_base, repository_of
from sacristy.images.build import build
from sacristy.images.layout import FolderRegistry
from sacristy.release.leftovers import built_here, remove, unpacked

OLD = time.time() - 48 * 3600
DAY_S = 24 * 3600.0


@pytest.fixture
def three(settings, store, run_of):
    """Three versions that were built here, the newest last."""
    return [build(settings, run_of(number, content=bytes(1 << 20)), store=store) for number in (7, 8, 9)]


@pytest.fixture
def instances(tmp_path):
    """A folder of images that were unpacked long ago."""
    for name in ("toy-" + "1" * 16, "toy-" + "2" * 16):
        (tmp_path / name / "app").mkdir(parents=True)
        (tmp_path / name / "app" / "serve.py").write_text("pass")
        os.utime(tmp_path / name, (OLD, OLD))
    return tmp_path


def age(built):
    for path in built.root.glob("*/blobs/sha256/*"):
        os.utime(path, (OLD, OLD))


def test_the_newest_versions_and_what_answers_stay(built, three):
    first, second, third = three
    assert [each.digest for each in built_here(built, 1, set())] == [second.digest, first.digest]
    assert [each.digest for each in built_here(built, 1, {first.digest})] == [second.digest]
    assert built_here(built, 3, set()) == []
    assert third.digest in built.versions("toy").values()


def test_versions_go_with_the_blobs_that_were_theirs_alone(built, three):
    age(built)
    assert remove(built, built_here(built, 1, set()), [], DAY_S) > 0
    assert list(built.versions("toy").values()) == [three[2].digest]
    for blob in built.manifest("toy", three[2].digest)["layers"]:
        assert built.has_blob("toy", blob["digest"])


def test_environment_images_stay(built, three):
    environment = repository_of("1" * 64)
    built.layout(environment).store.put_stream(io.BytesIO(b"layer"))
    with built.layout(environment).changed_index():
        pass
    age(built)
    remove(built, built_here(built, 0, set()), [], DAY_S)
    assert environment in built.repositories()
    assert len(list(built.layout(environment).store.list())) == 1


def test_what_was_unpacked_goes_when_it_is_old_and_not_in_use(instances):
    found = unpacked(instances, {"sha256:" + "1" * 64})
    assert [each.folder.name for each in found] == ["toy-" + "2" * 16]
    remove(FolderRegistry(instances / "none"), [], found, DAY_S)
    assert sorted(path.name for path in instances.iterdir()) == ["toy-" + "1" * 16]


def test_what_was_unpacked_just_now_stays(instances):
    assert len(unpacked(instances, set())) == 2
    os.utime(instances / ("toy-" + "2" * 16))
    assert [each.folder.name for each in unpacked(instances, set())] == ["toy-" + "1" * 16]


def test_what_a_killed_process_left_half_goes_when_it_is_old(instances):
    half = [f".toy-{'1' * 16}.ab_c0d3f", ".away.ab_c0d3f", f".toy-{'2' * 16}.young", ".other-file.x"]
    for name in half:
        (instances / name / "app").mkdir(parents=True)
        if "young" not in name:
            os.utime(instances / name, (OLD, OLD))
    found = unpacked(instances, {"sha256:" + digit * 64 for digit in "12"})
    assert {each.folder.name for each in found} == set(half[:2])
    remove(FolderRegistry(instances / "none"), [], found, DAY_S)
    assert not (instances / half[0]).exists()
    assert not (instances / half[1]).exists()


def test_where_a_process_runs_stays(instances):
    where = instances / ("toy-" + "1" * 16) / "app"
    with subprocess.Popen([sys.executable, "-c", "input()"], cwd=where, stdin=subprocess.PIPE) as process:
        assert [each.folder.name for each in unpacked(instances, set())] == ["toy-" + "2" * 16]
        process.communicate(b"\n")


@pytest.fixture
def base(built, image):
    """An image as if it were an environment's: only its layers matter here."""
    return open_base(built, "toy", image.digest)


def test_an_environment_is_a_second_name_in_another_folder_and_as_new_as_written(built, base, tmp_path):
    age(built)
    registry = FolderRegistry(tmp_path / "registry")
    copy_base(base, built, registry)
    here, there = (each.layout("toy").store.path(base.layers[0].digest).stat() for each in (built, registry))
    assert (here.st_ino, here.st_nlink) == (there.st_ino, 2)
    assert there.st_mtime > OLD + DAY_S
    assert registry.resolve("toy", base.digest).digest == base.digest


def test_a_damaged_layer_gets_no_second_name(built, base, tmp_path):
    layer = base.layers[0].digest
    path = built.layout("toy").store.path(layer)
    path.chmod(0o644)
    path.write_bytes(b"other")
    registry = FolderRegistry(tmp_path / "registry")
    with pytest.raises(BlobDamaged):
        copy_base(base, built, registry)
    assert not registry.has_blob("toy", layer)
