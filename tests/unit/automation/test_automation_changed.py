import pytest

from sacristy.automation.changed import change_of, compare
from sacristy.errors import InvalidName
from sacristy.sources import SourceFile

NEWS = "models/news/"


def files(**contents):
    names = {"train": f"{NEWS}train.py", "lock": f"{NEWS}Pipfile.lock", "data": f"{NEWS}data.dvc"}
    names |= {"readme": f"{NEWS}README.md", "test": f"{NEWS}tests/test_a.py", "runtime": "sacristy/serving/app.py"}
    names |= {"gates": f"{NEWS}model.toml"}
    return {names[name]: SourceFile(text.encode()) for name, text in contents.items()}


BEFORE = {
    "train": "a",
    "lock": "b",
    "data": "outs:\n- md5: 1f\n  size: 3\n",
    "readme": "c",
    "test": "d",
    "runtime": "e",
}


@pytest.mark.parametrize(
    ("change", "because"),
    [
        ({}, ""),
        ({"train": "x"}, "code"),
        ({"gates": "x"}, "code"),
        ({"lock": "x"}, "lock"),
        ({"runtime": "x"}, "runtime"),
        ({"data": "outs:\n- md5: 2f\n  size: 3\n"}, "data"),
        ({"data": "# a comment\nouts:\n- md5: 1f\n  size: 3\n"}, ""),
        ({"readme": "x"}, ""),
        ({"test": "x"}, ""),
        ({"train": "x", "lock": "y"}, "code, lock"),
    ],
)
def test_only_what_a_run_depends_on_counts(change, because):
    found = compare("news", "abc", files(**BEFORE), files(**(BEFORE | change)))
    assert found.because == because
    assert found.changed is bool(because)


def test_a_file_that_is_gone_or_new_counts():
    less = {name: text for name, text in BEFORE.items() if name != "train"}
    assert compare("news", "abc", files(**BEFORE), files(**less)).code == [f"{NEWS}train.py"]
    assert compare("news", "abc", files(**less), files(**BEFORE)).code == [f"{NEWS}train.py"]


def test_a_file_that_became_executable_counts():
    after = files(**BEFORE) | {f"{NEWS}train.py": SourceFile(b"a", executable=True)}
    assert compare("news", "abc", files(**BEFORE), after).changed


@pytest.mark.parametrize("base", ["", "0" * 40, "no-such-branch"])
def test_without_a_base_all_counts_as_changed(tmp_path, base):
    (tmp_path / "models" / "news").mkdir(parents=True)
    (tmp_path / "models" / "news" / "train.py").touch()
    found = change_of(tmp_path, "news", base)
    assert (found.changed, found.lock, found.data, found.base) == (True, True, True, "")
    assert "no base commit" in found.because


@pytest.mark.parametrize("base", ["--output=/tmp/x", "a b", "$(id)", "\n", "x" * 201])
def test_a_base_that_is_no_commit_is_refused(tmp_path, base):
    with pytest.raises(InvalidName):
        change_of(tmp_path, "news", base)
