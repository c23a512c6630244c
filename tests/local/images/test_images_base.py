from __future__ import annotations

import io
import json
import shutil
import tarfile

import pytest
from local.images.conftest import engine_archive

from sacristy.errors import BaseNotFound, BlobDamaged, InvalidImage
from sacristy.images.archive import export_archive, import_archive, lowest_held
from sacristy.images.base import NOTED, base_of
from sacristy.images.build import build
from sacristy.images.layout import FolderRegistry
from sacristy.images.unpack import unpack
from sacristy.images.wheelhouse import Variant


def test_an_image_on_a_base_runs_with_what_the_base_says(built, based):
    config = built.config("toy", based.image.digest)
    assert config["config"]["Env"] == ["PATH=/opt/env/bin:/bin", "PYTHONPATH=/app", "PYTHONUNBUFFERED=1"]
    assert config["config"]["Healthcheck"] == {"Test": ["CMD", "ask"]}
    assert config["config"]["User"] == "65532:65532"
    layers = [layer["digest"] for layer in built.manifest("toy", based.image.digest)["layers"]]
    assert config["rootfs"]["diff_ids"] == layers
    assert layers[:2] == [layer.digest for layer in based.base.layers]


def test_the_base_stands_in_baseline_and_labels(built, based, tmp_path):
    unpack(built, "toy", based.image.digest, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "app" / "baseline.json").read_text())["base_image"] == based.base.digest
    labels = built.config("toy", based.image.digest)["config"]["Labels"]
    assert labels["org.opencontainers.image.base.digest"] == based.base.digest


def test_the_same_run_on_the_same_base_is_the_same_image(settings, store, run_of, based):
    shutil.rmtree(settings.images_folder / "toy")
    again = build(settings, run_of(), store=store, base=based.base)
    assert again.new
    assert again.digest == based.image.digest


def test_without_a_base_nothing_of_it_shows(built, image):
    assert "org.opencontainers.image.base.digest" not in built.config("toy", image.digest)["config"]["Labels"]
    assert all(
        "dev.sacristy.base" not in layer["annotations"] for layer in built.manifest("toy", image.digest)["layers"]
    )


def test_layers_of_the_base_are_on_the_disk_once(built, based):
    digest = based.base.layers[1].digest
    files = [built.layout(name).store.path(digest) for name in ("toy", based.base.repository)]
    assert files[0].samefile(files[1])


def test_a_run_remembers_its_base(built, base, run_of, tmp_path):
    empty = FolderRegistry(tmp_path / "empty")
    assert base_of(run_of(), Variant.CPU, empty, built) == (base, built)
    assert base_of(run_of(), Variant.CUDA, empty, built) is None
    noted = {"sacristy": {NOTED: base.digest}}
    assert base_of(run_of(document=noted), Variant.CUDA, empty, built) == (base, built)
    assert base_of(run_of(document={"sacristy": {NOTED: ""}}), Variant.CPU, empty, built) is None
    with pytest.raises(BaseNotFound, match="env-1111"):
        base_of(run_of(document=noted), Variant.CPU, empty, empty)


def test_an_archive_that_lies_about_a_layer_is_refused(built, tmp_path):
    other = {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}
    with pytest.raises(BlobDamaged):
        import_archive(engine_archive(tmp_path / "x.tar", [b"layer"], rootfs=other), built, "toy")


def test_what_is_no_archive_is_refused(built, tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w"):
        pass
    with pytest.raises(InvalidImage):
        import_archive(tmp_path / "x.tar", built, "toy")


def test_the_engine_gets_only_the_layers_it_has_not(built, based):
    out = io.BytesIO()
    held = [layer.digest for layer in based.base.layers]
    export_archive(built, "toy", based.image.digest, "toy:7", out, held=held)
    out.seek(0)
    with tarfile.open(fileobj=out) as archive:
        (entry,) = json.load(archive.extractfile("manifest.json"))
        names = archive.getnames()
    assert entry["RepoTags"] == ["toy:7"]
    assert [f"sha256:{name.removesuffix('.tar')}" for name in entry["Layers"] if name not in names] == held
    assert entry["Config"] in names


def test_layers_are_held_as_far_as_some_image_begins_alike():
    assert lowest_held(["a", "b", "c"], [["a", "x"], ["a", "b"], ["b", "c"]]) == ["a", "b"]
    assert lowest_held(["a"], []) == []
