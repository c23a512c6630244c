"""Removing what nothing refers to: only that, only what is old enough, and never under a push's feet."""

import os
import time

import pytest
from local.images.test_images_signature import make_keys

from sacristy.errors import MissingBlob
from sacristy.images import garbage, signature
from sacristy.images.build import build
from sacristy.images.manifest import INDEX, canonical, digest_of
from sacristy.images.registry import Registry


@pytest.fixture
def two(settings, store, run_of, image):
    """Two images that share all but weights and baseline."""
    return image, build(settings, run_of(8, content=b"v" * (1 << 20)), store=store)


def age(built, hours=48):
    then = time.time() - hours * 3600
    for path in built.layout("toy").folder.glob("blobs/sha256/*"):
        os.utime(path, (then, then))


def test_what_an_image_left_alone_is_removed(built, two):
    first, second = two
    mine = garbage.sizes(built, "toy", {first.digest})
    shared = garbage.sizes(built, "toy", {second.digest})
    built.delete_manifest("toy", first.digest)
    age(built)
    report = garbage.collect(built, "toy", {})
    assert set(report.digests) == mine.keys() - shared.keys()
    assert report.bytes == sum(mine[digest] for digest in report.digests) > 1 << 20
    assert all(built.has_blob("toy", digest) for digest in shared)


def test_what_is_young_is_spared_and_told(built, two):
    first, _ = two
    built.delete_manifest("toy", first.digest)
    report = garbage.collect(built, "toy", {})
    assert (report.blobs, report.bytes) == (0, 0)
    assert report.kept_bytes > 1 << 20


def test_without_garbage_nothing_goes(built, two):
    age(built)
    report = garbage.collect(built, "toy", {})
    assert (report.blobs, report.kept_blobs) == (0, 0)
    assert len(built.versions("toy")) == 2


def test_a_signature_that_was_added_to_goes_and_the_last_stays(built, image, tmp_path):
    keys = [make_keys(tmp_path / name) for name in "ab"]
    made = [signature.attach(built, "toy", image.digest, each) for each in keys]
    age(built)
    assert made[0] in garbage.collect(built, "toy", {}).digests
    for each in keys:
        signature.verify(built, "toy", image.digest, each)


def test_a_push_that_counted_on_a_removed_blob_is_told_to_send_it(built, two):
    first, _ = two
    content = built.read_manifest("toy", first.digest)
    built.delete_manifest("toy", first.digest)
    age(built)
    garbage.collect(built, "toy", {})
    with pytest.raises(MissingBlob):
        built.put_manifest("toy", content)
    assert first.digest not in built.layout("toy").index().manifests


def test_a_registry_that_is_not_ours_gets_a_report(built, two):
    class Far(Registry):
        """The same registry, as if it were far away."""

        tags, read_manifest = built.tags, built.read_manifest

    Far.__abstractmethods__ = frozenset()
    first, second = two
    gone = garbage.sizes(built, "toy", {first.digest})
    shared = garbage.sizes(built, "toy", {second.digest})
    built.delete_manifest("toy", first.digest)
    report = garbage.collect(Far(), "toy", gone)
    assert not report.removed
    assert set(report.digests) == gone.keys() - shared.keys()
    assert all(built.has_blob("toy", digest) for digest in gone)


def test_an_index_that_another_tool_put_beside_an_image_spoils_no_report(image):
    content = canonical({"schemaVersion": 2, "mediaType": INDEX, "manifests": []})

    class Far(Registry):
        """Has that index alone."""

        def tags(self, _):
            return {"sha256-" + "a" * 64: digest_of(content)}

        def read_manifest(self, *_):
            return content

    Far.__abstractmethods__ = frozenset()
    assert garbage.collect(Far(), "toy", {image.digest: 7}).bytes == 7
