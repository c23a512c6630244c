from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sacristy.errors import BlobDamaged, ImageNotFound, InvalidImage
from sacristy.images.layout import FolderRegistry, OciLayout
from sacristy.images.manifest import CONFIG, LAYER, PART, Descriptor, canonical, digest_of, image_manifest
from sacristy.images.unpack import safe_path, unpack


def info(name, **facts):
    member = tarfile.TarInfo(name)
    for key, value in facts.items():
        setattr(member, key, value)
    return member


def tar(*members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return buffer.getvalue()


def image_of(tmp_path, *layers, media_type=LAYER, part="model"):
    """Store an image made of the bytes of layers, and return its registry and digest."""
    registry = FolderRegistry(tmp_path / "registry")
    config = canonical({})
    for content in (config, *layers):
        registry.put_blob("toy", digest_of(content), content)
    marks = {PART: part} if part else {}
    described = [Descriptor(media_type, digest_of(content), len(content), marks) for content in layers]
    manifest = image_manifest(Descriptor(CONFIG, digest_of(config), len(config)), described, {})
    return registry, registry.put_manifest("toy", manifest)


def test_an_unpacked_image_is_the_files_that_went_in(image, built, tmp_path, project):
    unpack(built, "toy", image.digest, tmp_path / "out")
    app = tmp_path / "out" / "app"
    assert (app / "model" / "serve.py").read_bytes() == (project / "models/toy/serve.py").read_bytes()
    assert (app / "weights" / "model.safetensors").read_bytes() == b"w" * (1 << 20)
    assert (app / "baseline.json").is_file()
    assert not (app / "model" / "tests").exists()
    assert not (app / "weights" / "heldout.jsonl").exists()


def test_unpacking_again_changes_nothing(image, built, tmp_path):
    unpack(built, "toy", image.digest, tmp_path / "out" / "a")
    before = (tmp_path / "out" / "a").stat().st_ino
    unpack(built, "toy", image.digest, tmp_path / "out" / "a")
    assert (tmp_path / "out" / "a").stat().st_ino == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]


def test_a_flipped_byte_in_a_layer_leaves_nothing(image, built, tmp_path):
    layer = built.manifest("toy", image.digest)["layers"][-1]
    path = OciLayout(built.root / "toy").store.path(layer["digest"])
    content = bytearray(path.read_bytes())
    content[-700] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    with pytest.raises(BlobDamaged, match=layer["digest"]):
        unpack(built, "toy", image.digest, tmp_path / "out" / "a")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_damaged_manifest_is_refused(image, built, tmp_path):
    path = OciLayout(built.root / "toy").store.path(image.digest)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b'"7"', b'"8"'))
    with pytest.raises(BlobDamaged):
        unpack(built, "toy", image.digest, tmp_path / "out")


def test_a_missing_image_is_told(built, tmp_path):
    with pytest.raises(ImageNotFound):
        unpack(built, "toy", "sha256:" + "0" * 64, tmp_path / "out")


EVIL = {
    "parent": info("app/../../escape", size=1),
    "absolute": info("/app/file", size=1),
    "outside of app": info("etc/passwd", size=1),
    "app itself as a file": info("../app", size=1),
    "symbolic link": info("app/link", type=tarfile.SYMTYPE, linkname="/etc"),
    "hard link": info("app/link", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
    "device": info("app/null", type=tarfile.CHRTYPE),
    "pipe": info("app/pipe", type=tarfile.FIFOTYPE),
    "backslash": info("app\\..\\x", size=1),
    "new line": info("app/a\nb", size=1),
    "dot": info("app/./a", size=1),
    "empty part": info("app//a", size=1),
}


@pytest.mark.parametrize("name", EVIL)
def test_a_member_that_would_do_harm_is_refused_and_leaves_nothing(tmp_path, name):
    registry, digest = image_of(tmp_path, tar(info("app/fine", size=1), EVIL[name]))
    with pytest.raises(InvalidImage, match="toy@sha256"):
        unpack(registry, "toy", digest, tmp_path / "out" / "a")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_name_twice_is_refused(tmp_path):
    registry, digest = image_of(tmp_path, tar(info("app/a", size=1)), tar(info("app/a", size=2)))
    with pytest.raises(InvalidImage, match="twice"):
        unpack(registry, "toy", digest, tmp_path / "out")


def test_a_file_used_as_a_folder_is_one_error(tmp_path):
    registry, digest = image_of(tmp_path, tar(info("app/a", size=1), info("app/a/b", size=1)))
    with pytest.raises(InvalidImage, match="app/a/b"):
        unpack(registry, "toy", digest, tmp_path / "out")


def test_a_sparse_file_is_refused(tmp_path):
    member = info("app/a", type=tarfile.GNUTYPE_SPARSE, size=0)
    registry, digest = image_of(tmp_path, tar(member))
    with pytest.raises(InvalidImage):
        unpack(registry, "toy", digest, tmp_path / "out")


@pytest.mark.parametrize("content", [b"no tar" * 1000, tar(info("app/a", size=9))[:515]])
def test_a_layer_that_is_no_whole_tar_is_refused(tmp_path, content):
    registry, digest = image_of(tmp_path, content)
    with pytest.raises(InvalidImage, match="no tar"):
        unpack(registry, "toy", digest, tmp_path / "out")


def test_a_compressed_layer_of_ours_is_refused(tmp_path):
    registry, digest = image_of(tmp_path, b"\x1f\x8b", media_type=LAYER + "+gzip")
    with pytest.raises(InvalidImage, match="gzip"):
        unpack(registry, "toy", digest, tmp_path / "out")


def test_layers_of_a_base_are_left_out(tmp_path):
    registry, digest = image_of(tmp_path, b"\x1f\x8b", media_type=LAYER + "+gzip", part="")
    unpack(registry, "toy", digest, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@given(st.text())
def test_a_path_that_is_accepted_stays_below_app(name):
    try:
        path = safe_path(name, "x")
    except InvalidImage:
        return
    assert path.split("/")[0] == "app"
    assert not {"", ".", ".."} & set(path.split("/"))
