"""The image of a training Job: one commit's code on its environment, the same for the same commit."""

from __future__ import annotations

import hashlib

import pytest
from local.images.conftest import commit, engine_archive

from sacristy import sources
from sacristy.errors import DataFileMissing, NoTrainingImage, UncommittedCode
from sacristy.images.archive import import_archive
from sacristy.images.base import repository_of
from sacristy.images.layout import FolderRegistry
from sacristy.images.training import code_paths, push_training_image
from sacristy.images.unpack import unpack
from sacristy.project import Model

ROWS = b"1,2,3\n"
POINTER = "outs:\n- md5: {md5}\n  size: {size}\n  path: dataset/rows.csv\n"


@pytest.fixture
def model(project):
    return Model("toy", project / "models" / "toy", None)


@pytest.fixture
def registry(tmp_path, model):
    """A registry with the environment image of the model's lock."""
    registry = FolderRegistry(tmp_path / "registry")
    repository = repository_of(model.lock_hash)
    digest = import_archive(engine_archive(tmp_path / "env.tar", [b"python", b"packages"]), registry, repository)
    registry.tag(repository, "cpu-train", digest)
    return registry


@pytest.fixture
def with_data(project, model):
    """The model has data that is pulled."""
    found = hashlib.md5(ROWS, usedforsecurity=False).hexdigest()
    (model.folder / "data.dvc").write_text(POINTER.format(md5=found, size=len(ROWS)))
    (model.folder / "dataset").mkdir()
    (model.folder / "dataset" / "rows.csv").write_bytes(ROWS)
    with (project / ".gitignore").open("a") as file:
        file.write("models/*/dataset/\n")
    commit(project)


def pushed(settings, model, registry, folder):
    """Push, unpack below a folder, and return the image and where its files are."""
    image = push_training_image(settings, model, registry)
    unpack(registry, image.repository, image.digest, folder)
    return image, folder / "app"


def test_in_it_the_code_is_the_commits_and_says_so(settings, model, registry, tmp_path):
    image, app = pushed(settings, model, registry, tmp_path / "out")
    found = sources.describe(app, code_paths("toy"))
    assert (found.commit, found.dirty) == (image.commit, False)
    assert (app / "sacristy" / "images" / "build.py").is_file()
    assert not (app / "models" / "other").exists()


def test_the_same_commit_is_the_same_image_and_sent_once(settings, model, registry):
    first = push_training_image(settings, model, registry)
    again = push_training_image(settings, model, registry)
    assert (again.digest, again.sent) == (first.digest, 0)
    assert first.sent > 0
    assert registry.tags(first.repository)["train-toy"] == first.digest


def test_it_lies_on_the_environment_of_its_lock(settings, model, registry):
    image = push_training_image(settings, model, registry)
    config = registry.config(image.repository, image.digest)
    layers = registry.manifest(image.repository, image.digest)["layers"]
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in layers]
    assert "PYTHONPATH=/app" in config["config"]["Env"]


def test_the_data_is_in_a_layer_of_its_own_and_leaves_the_code_clean(settings, model, registry, with_data, tmp_path):
    image, app = pushed(settings, model, registry, tmp_path / "out")
    assert (app / "models" / "toy" / "dataset" / "rows.csv").read_bytes() == ROWS
    assert not sources.describe(app, code_paths("toy")).dirty
    parts = [layer["annotations"].get("dev.sacristy.part") for layer in layers_of(registry, image)]
    assert parts[-2:] == ["data", "code"]


def layers_of(registry, image):
    return [{"annotations": {}} | layer for layer in registry.manifest(image.repository, image.digest)["layers"]]


def test_data_that_is_not_here_is_told(settings, model, registry, with_data):
    (model.folder / "dataset" / "rows.csv").unlink()
    with pytest.raises(DataFileMissing, match=r"rows\.csv"):
        push_training_image(settings, model, registry)


def test_what_is_in_no_commit_is_not_trained(settings, model, registry):
    (model.folder / "train.py").write_text("new\n")
    with pytest.raises(UncommittedCode):
        push_training_image(settings, model, registry)


def test_without_its_environment_it_says_what_makes_it(settings, model, tmp_path):
    with pytest.raises(NoTrainingImage) as error:
        push_training_image(settings, model, FolderRegistry(tmp_path / "empty"))
    assert error.value.advice == "sacristy env build toy --train"
