"""What every registry must do: test files import these tests and give the fixture `registry`."""

from __future__ import annotations

import threading

import pytest

from sacristy.errors import (
    BlobDamaged,
    BlobNotFound,
    ImageNotFound,
    InvalidImage,
    InvalidName,
    MissingBlob,
    TagMoved,
)
from sacristy.images.copy import copy_image
from sacristy.images.layout import OciLayout
from sacristy.images.manifest import CONFIG, LAYER, canonical, described, digest_of, image_manifest
from sacristy.images.registry import ANY

NOTHING = "sha256:" + "0" * 64


def put_image(registry, text=b"layer"):
    """Store a small image and return its digest."""
    config = canonical({"config": {"Labels": {}}})
    for content in (text, config):
        registry.put_blob("toy", digest_of(content), content)
    return registry.put_manifest("toy", image_manifest(described(config, CONFIG), [described(text, LAYER)], {}))


def test_an_empty_registry_has_nothing(registry):
    assert registry.repositories() == []
    assert registry.tags("toy") == {}
    assert not registry.has_blob("toy", NOTHING)
    with pytest.raises(ImageNotFound, match="toy:7"):
        registry.resolve("toy", "7")
    with pytest.raises(ImageNotFound, match="toy@sha256"):
        registry.resolve("toy", NOTHING)
    with pytest.raises(BlobNotFound):
        registry.open_blob("toy", NOTHING)


def test_an_image_is_found_by_digest_and_by_tag(registry):
    digest = put_image(registry)
    registry.tag("toy", "7", digest)
    assert registry.repositories() == ["toy"]
    assert registry.tags("toy") == {"7": digest}
    assert registry.resolve("toy", "7") == registry.resolve("toy", digest)
    assert digest_of(registry.read_manifest("toy", digest)) == digest
    assert registry.manifest("toy", digest)["schemaVersion"] == 2
    assert registry.config("toy", digest) == {"config": {"Labels": {}}}


def test_a_manifest_without_a_tag_is_kept(registry):
    first, second = put_image(registry, b"1"), put_image(registry, b"2")
    registry.tag("toy", "7", first)
    registry.tag("toy", "7", second)
    assert registry.resolve("toy", first).digest == first


def test_blobs_are_sent_once(registry, tmp_path):
    (tmp_path / "blob").write_bytes(b"abc")
    assert registry.put_blob("toy", digest_of(b"abc"), tmp_path / "blob")
    assert not registry.put_blob("toy", digest_of(b"abc"), b"abc")
    with registry.open_blob("toy", digest_of(b"abc")) as source:
        assert source.read() == b"abc"


def test_a_blob_with_another_digest_is_refused(registry):
    with pytest.raises(BlobDamaged):
        registry.put_blob("toy", digest_of(b"abc"), b"abd")
    assert not registry.has_blob("toy", digest_of(b"abc"))


def test_a_manifest_with_a_missing_blob_is_refused(registry):
    content = image_manifest(described(b"{}", CONFIG), [described(b"gone", LAYER)], {})
    registry.put_blob("toy", digest_of(b"{}"), b"{}")
    with pytest.raises(MissingBlob, match=digest_of(b"gone")):
        registry.put_manifest("toy", content)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"schemaVersion":2,"layers":[]}', b"[" * 100_000])
def test_a_manifest_that_is_none_is_refused(registry, content):
    with pytest.raises(InvalidImage):
        registry.put_manifest("toy", content)


def test_a_tag_cannot_point_at_nothing(registry):
    put_image(registry)
    with pytest.raises(ImageNotFound):
        registry.tag("toy", "7", NOTHING)
    assert registry.tags("toy") == {}


def test_a_tag_moves_only_from_where_it_is_expected(registry):
    first, second = put_image(registry, b"1"), put_image(registry, b"2")
    registry.tag("toy", "staging", first, expected=None)
    with pytest.raises(TagMoved):
        registry.tag("toy", "staging", second, expected=None)
    with pytest.raises(TagMoved) as caught:
        registry.tag("toy", "staging", first, expected=second)
    assert caught.value.fields["found"] == first
    registry.tag("toy", "staging", second, expected=first)
    registry.tag("toy", "staging", first, expected=ANY)
    assert registry.tags("toy") == {"staging": first}


def test_a_tag_of_a_missing_one_cannot_be_expected(registry):
    digest = put_image(registry)
    with pytest.raises(TagMoved, match="nothing"):
        registry.tag("toy", "staging", digest, expected=digest)


def test_of_many_at_once_one_moves_the_tag(registry):
    digests = [put_image(registry, bytes([number])) for number in range(8)]
    told = []

    def move(digest):
        try:
            registry.tag("toy", "production", digest, expected=None)
        except TagMoved:
            told.append(digest)

    threads = [threading.Thread(target=move, args=(digest,)) for digest in digests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 7
    assert registry.tags("toy")["production"] not in told


def test_a_tag_is_removed_and_its_image_stays(registry):
    digest = put_image(registry)
    registry.tag("toy", "7", digest)
    registry.untag("toy", "7")
    registry.untag("toy", "7")
    assert registry.tags("toy") == {}
    assert registry.resolve("toy", digest).digest == digest


def test_a_deleted_image_takes_its_tags_along(registry):
    first, second = put_image(registry, b"1"), put_image(registry, b"2")
    for tag, digest in (("1", first), ("staging", first), ("2", second)):
        registry.tag("toy", tag, digest)
    registry.delete_manifest("toy", first)
    registry.delete_manifest("toy", first)
    assert registry.tags("toy") == {"2": second}


@pytest.mark.parametrize("name", ["../toy", "/etc", "Toy", "", "a/b", "x; rm -rf /", "t\u043ey", "toy\n", "a" * 300])
def test_a_repository_name_never_becomes_another_path(registry, name):
    with pytest.raises(InvalidName):
        registry.tags(name)


@pytest.mark.parametrize("tag", ["", "../x", "a b", ".a", "x" * 200, "a\n"])
def test_a_tag_follows_the_grammar(registry, tag):
    digest = put_image(registry)
    with pytest.raises(InvalidName):
        registry.tag("toy", tag, digest)


def test_an_image_without_our_labels_is_told(registry):
    with pytest.raises(InvalidImage, match="labels"):
        registry.image("toy", put_image(registry))


def test_a_copy_sends_only_what_is_missing(registry, built, image, settings, store, run_of):
    from sacristy.images.build import build

    first = copy_image(built, registry, "toy", image.digest)
    assert (first.blobs_sent, first.blobs_present) == (6, 0)
    assert first.bytes_sent == registry.size("toy", image.digest)
    assert registry.tags("toy") == {}
    second = build(settings, run_of(8, content=b"v" * (1 << 20)), store=store)
    report = copy_image(built, registry, "toy", second.digest)
    assert (report.blobs_sent, report.blobs_present) == (3, 3)
    assert report.bytes_sent - (1 << 20) < 12_000
    assert copy_image(built, registry, "toy", second.digest).bytes_sent == 0
    assert registry.read_manifest("toy", second.digest) == built.read_manifest("toy", second.digest)


def test_a_blob_is_taken_over_from_another_repository(registry):
    registry.put_blob("toy", digest_of(b"abc"), b"abc")
    assert registry.mount("other", digest_of(b"abc"), "toy")
    assert registry.has_blob("other", digest_of(b"abc"))
    with registry.open_blob("other", digest_of(b"abc")) as source:
        assert source.read() == b"abc"
    assert not registry.mount("other", digest_of(b"abd"), "toy")


def test_of_a_base_that_the_registry_has_nothing_is_sent(registry, built, based):
    copy_image(built, registry, based.base.repository, based.base.digest)
    report = copy_image(built, registry, "toy", based.image.digest)
    assert report.blobs_mounted == len(based.base.layers)
    ours = registry.size("toy", based.image.digest) - sum(layer.size for layer in based.base.layers)
    assert report.bytes_sent == ours
    assert registry.read_manifest("toy", based.image.digest) == built.read_manifest("toy", based.image.digest)


def test_a_base_that_the_registry_has_not_is_sent_along(registry, built, based):
    report = copy_image(built, registry, "toy", based.image.digest)
    assert (report.blobs_mounted, report.bytes_sent) == (0, registry.size("toy", based.image.digest))


def test_an_interrupted_copy_shows_no_image_and_goes_on(registry, built, image, monkeypatch):
    put = type(registry).put_blob
    count = []

    def killed(self, *arguments):
        count.append(1)
        if len(count) == 3:
            raise KeyboardInterrupt
        return put(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(type(registry), "put_blob", killed)
        with pytest.raises(KeyboardInterrupt):
            copy_image(built, registry, "toy", image.digest)
    with pytest.raises(ImageNotFound):
        registry.resolve("toy", image.digest)
    report = copy_image(built, registry, "toy", image.digest)
    assert (report.blobs_sent, report.blobs_present) == (4, 2)


def test_a_damaged_layer_is_not_copied(registry, built, image):
    layer = built.manifest("toy", image.digest)["layers"][2]
    path = OciLayout(built.root / "toy").store.path(layer["digest"])
    path.chmod(0o644)
    path.write_bytes(b"x" + path.read_bytes()[1:])
    with pytest.raises(BlobDamaged, match=layer["digest"]):
        copy_image(built, registry, "toy", image.digest)
    with pytest.raises(ImageNotFound):
        registry.resolve("toy", image.digest)
