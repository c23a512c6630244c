import pytest

from sacristy import project
from sacristy.errors import InvalidModelFile, InvalidName, UnknownModel

GOOD = """
title = "Digits"
[gates]
metric = "accuracy"
minimum = 0.9
"""


@pytest.fixture
def folder(tmp_path):
    model = tmp_path / "models" / "digits"
    model.mkdir(parents=True)
    (model / "model.toml").write_text(GOOD)
    return tmp_path


def test_a_model_is_a_folder_with_a_model_file(folder):
    model = project.load_model(folder, "digits")
    assert model.file.gates.minimum == 0.9
    assert project.model_names(folder) == ["digits"]


def test_an_unknown_model_is_told_with_those_there_are(folder):
    with pytest.raises(UnknownModel, match="digits"):
        project.load_model(folder, "news")


def test_a_name_from_outside_never_becomes_a_path(folder):
    with pytest.raises(InvalidName):
        project.load_model(folder, "../models/digits")


@pytest.mark.parametrize(
    ("text", "where", "reason"),
    [
        (GOOD + "minimun = 1", "gates.minimun", "did you mean 'minimum'"),
        (GOOD + "[serving]\nworker = 2", "serving.worker", "did you mean 'workers'"),
        ("titel = 'x'\n" + GOOD, "titel", "did you mean 'title'"),
        (GOOD + "[zzz]\na = 1", "zzz", "known keys are title"),
        (GOOD + "margin = 'much'", "gates.margin", "not 'much'"),
        (GOOD + "[serving]\nworkers = 0", "serving.workers", "greater than 0"),
        (GOOD + "[serving]\nworkers = 1.5", "serving.workers", "not 1.5"),
        ("title = 'x'", "gates", "required"),
        ("title = ", "file", "Invalid value"),
    ],
)
def test_a_fault_is_named_by_its_dotted_path(tmp_path, text, where, reason):
    path = tmp_path / "model.toml"
    path.write_text(text)
    with pytest.raises(InvalidModelFile) as fault:
        project.read_model_file(path)
    assert fault.value.fields["where"] == where
    assert reason in str(fault.value)


def test_a_model_file_that_is_no_text_is_told(tmp_path):
    path = tmp_path / "model.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidModelFile):
        project.read_model_file(path)
