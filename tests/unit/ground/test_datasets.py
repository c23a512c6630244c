"""Which file data.dvc names, where it may lie, and that no run begins without it."""

import hashlib
from pathlib import Path

import pytest

from sacristy import experiment
from sacristy import settings as settings_module
from sacristy.datasets import find, read_pointer, require
from sacristy.errors import DataFileChanged, DataFileMissing, InvalidDataFile
from sacristy.settings import Settings

CONTENT = b"rows"
MD5 = hashlib.md5(CONTENT).hexdigest()
TEXT = f"outs:\n- md5: {MD5}\n  size: 4\n  hash: md5\n  path: dataset/rows.csv\nmeta:\n  local: toy/rows.csv\n"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "models" / "toy"
    folder.mkdir(parents=True)
    (tmp_path / "Pipfile").touch()
    (folder / "data.dvc").write_text(TEXT)
    return folder


@pytest.fixture
def settings(folder, tmp_path):
    return Settings(project=tmp_path, home=tmp_path / "home", data=tmp_path / "public")


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_pulled_file_is_found(settings, folder):
    path = write(folder / "dataset" / "rows.csv", CONTENT)
    found = find(read_pointer(settings, "toy"))
    assert (found.state, found.path) == ("pulled", path)
    require(settings, "toy")


def test_a_right_copy_elsewhere_will_do(settings, tmp_path):
    path = write(tmp_path / "public" / "toy" / "rows.csv", CONTENT)
    found = find(read_pointer(settings, "toy"))
    assert (found.state, found.path) == ("copy", path)
    require(settings, "toy")


def test_a_missing_file_is_named_with_what_brings_it(settings, folder):
    with pytest.raises(DataFileMissing, match=r"dataset/rows\.csv") as caught:
        require(settings, "toy")
    assert caught.value.advice == "sacristy data pull toy"


@pytest.mark.parametrize("content", [b"rowz", b"rows and more", b""])
def test_a_changed_file_is_named_even_where_a_right_copy_is(settings, folder, tmp_path, content):
    write(tmp_path / "public" / "toy" / "rows.csv", CONTENT)
    path = write(folder / "dataset" / "rows.csv", content)
    with pytest.raises(DataFileChanged) as caught:
        require(settings, "toy")
    assert caught.value.fields["path"] == path
    assert caught.value.fields["found"] == hashlib.md5(content).hexdigest()


def test_a_model_without_a_pointer_is_not_asked_for_data(settings):
    require(settings, "other")


@pytest.mark.parametrize(
    "text", ["", "outs:\n- path: x\n", TEXT.replace(MD5, MD5 + ".dir"), TEXT.replace("dataset/", "../../")]
)
def test_a_pointer_that_names_no_plain_file_is_refused(settings, folder, text):
    (folder / "data.dvc").write_text(text)
    with pytest.raises(InvalidDataFile):
        read_pointer(settings, "toy")


@pytest.mark.parametrize("model", ["digits", "news"])
def test_the_models_of_this_project_have_one(model):
    project = settings_module.find_project(Path(__file__).parent)
    assert read_pointer(Settings(project=project), model)


def test_no_run_begins_without_its_data(settings, monkeypatch):
    monkeypatch.setattr(settings_module, "load", lambda: settings)
    toy = experiment("toy")

    @toy.main
    def main():
        raise AssertionError("a run began")

    with pytest.raises(DataFileMissing):
        toy.run()
    assert not settings.journals.exists()


@pytest.mark.parametrize("model", ["digits", "news", "reviews"])
def test_each_model_of_this_project_names_its_data(model):
    pointer = read_pointer(Settings(project=Path(__file__).parents[3]), model)
    assert pointer.path.parent.name == "dataset"
    assert pointer.size > 50_000
