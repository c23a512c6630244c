"""A bundle is what its manifest says, to the byte, or it is refused before anything is taken."""

import json

import pytest

from sacristy.errors import BundleDamaged, NoBundle
from sacristy.stack.bundle.images import name_there, tag_of
from sacristy.stack.bundle.manifest import BundledImage, Manifest, hashed, read_manifest, verify, write_manifest

IMAGE = BundledImage("sacristy/stack:0.1", "sha256:" + "1" * 64, "sha256:" + "2" * 64, 7)


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "bundle"
    (folder / "wheels").mkdir(parents=True)
    (folder / "wheels" / "a.whl").write_bytes(b"wheel a")
    (folder / "project.bundle").write_bytes(b"commits")
    return folder


@pytest.fixture
def digest(bundle):
    return write_manifest(bundle, Manifest("0.1.0", "c0ffee", hashed(bundle), [IMAGE]))


def test_what_was_written_is_read_and_sound(bundle, digest):
    manifest = read_manifest(bundle, digest)
    verify(bundle, manifest)
    assert (manifest.commit, manifest.images, manifest.bytes) == ("c0ffee", [IMAGE], 14)


def test_every_byte_is_told_as_it_is_read(bundle, digest):
    told = []
    verify(bundle, read_manifest(bundle), told.append)
    assert sum(told) == 14


def test_a_bundle_whose_making_was_interrupted_is_none(bundle):
    with pytest.raises(NoBundle):
        read_manifest(bundle)


def test_another_manifest_than_the_one_that_was_meant_is_refused(bundle, digest):
    with pytest.raises(BundleDamaged, match="not sha256:0000"):
        read_manifest(bundle, "sha256:0000")


def change(path):
    path.write_bytes(path.read_bytes().replace(b"a", b"b"))


def link(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "it is missing"),
        (change, "with SHA-256"),
        (lambda path: path.write_bytes(b"wheel a, and more"), "17 bytes"),
        (lambda path: path.with_name("b.whl").write_bytes(b"b"), "does not list it"),
        (link, "does not list it"),
    ],
)
def test_damage_is_named(bundle, digest, damage, reason):
    damage(bundle / "wheels" / "a.whl")
    with pytest.raises(BundleDamaged, match=reason):
        verify(bundle, read_manifest(bundle))


def test_a_link_in_a_files_place_is_refused(bundle, digest, tmp_path):
    (tmp_path / "same").write_bytes(b"wheel a")
    (bundle / "wheels" / "a.whl").unlink()
    (bundle / "wheels" / "a.whl").symlink_to(tmp_path / "same")
    with pytest.raises(BundleDamaged, match="a link"):
        verify(bundle, read_manifest(bundle))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1, "files": [{}], "images": []}'])
def test_a_manifest_that_is_none_is_refused(bundle, text):
    (bundle / "manifest.json").write_text(text)
    with pytest.raises(BundleDamaged, match="not understood"):
        read_manifest(bundle)


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside", "wheels/../../outside"])
def test_a_path_that_leads_outside_is_refused(bundle, digest, path):
    document = json.loads((bundle / "manifest.json").read_text())
    document["files"][0]["path"] = path
    (bundle / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(BundleDamaged, match="outside"):
        read_manifest(bundle)


@pytest.mark.parametrize("name", ["sacristy/stack:0.1", "host:5000/a@sha256:ab", ".hidden", "x" * 300])
def test_an_images_name_becomes_a_tag(name):
    from sacristy.images.registry import parse_tag

    assert parse_tag(tag_of(name))


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("sacristy/stack:0.1", "sacristy/stack:0.1"),
        ("python:3.11-slim@sha256:0123456789abcdef", "python:3.11-slim"),
        ("host:5000/mongo@sha256:0123456789abcdef", "host:5000/mongo:sha256-0123456789ab"),
    ],
)
def test_an_image_that_is_named_by_digest_is_loaded_under_a_name_that_engines_take(name, there):
    assert name_there(name) == there
