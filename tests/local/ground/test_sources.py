import os

import git
import pytest

from sacristy import sources
from sacristy.errors import CommitNotFound

PATHS = ["models/digits"]


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "models" / "digits"
    folder.mkdir(parents=True)
    (folder / "train.py").write_text("one\n")
    (tmp_path / ".gitignore").write_text("*.tmp\n")
    (tmp_path / "README.md").write_text("readme\n")
    with git.Repo.init(tmp_path) as repository:
        with repository.config_writer() as config:
            config.set_value("user", "name", "t").set_value("user", "email", "t@example.org")
        repository.git.add(all=True)
        repository.index.commit("first")
    return tmp_path


def test_a_clean_tree_is_its_commit(checkout):
    found = sources.describe(checkout, PATHS)
    assert not found.dirty
    assert len(found.commit) == 40
    assert found.fingerprint == sources.fingerprint(sources.files_at(checkout, found.commit, PATHS))


@pytest.mark.parametrize("name", ["train.py", "new.py"])
def test_a_changed_or_new_file_makes_it_dirty(checkout, name):
    (checkout / "models" / "digits" / name).write_text("two\n")
    found = sources.describe(checkout, PATHS)
    assert found.dirty
    assert ("two" in found.diff) == (name == "train.py")


def test_what_is_elsewhere_or_ignored_does_not(checkout):
    (checkout / "README.md").write_text("changed\n")
    (checkout / "models" / "digits" / "x.tmp").write_text("scratch\n")
    assert not sources.describe(checkout, PATHS).dirty


def test_a_folder_without_git_is_dirty(tmp_path):
    (tmp_path / "models" / "digits").mkdir(parents=True)
    (tmp_path / "models" / "digits" / "train.py").write_text("one\n")
    found = sources.describe(tmp_path, PATHS)
    assert found.dirty
    assert found.commit == ""
    assert list(sources.files_now(tmp_path, PATHS)) == ["models/digits/train.py"]


def test_a_copy_of_a_commit_is_that_commit_until_it_is_changed(checkout, tmp_path):
    commit = sources.describe(checkout, PATHS).commit
    files = sources.files_at(checkout, commit, ["models", "README.md"])
    copy = tmp_path / "copy"
    for name, file in files.items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(file.content)
    (copy / sources.EXPORT).write_bytes(sources.exported(commit, files))
    (copy / "models" / "digits" / "dataset").mkdir()
    (copy / "models" / "digits" / "dataset" / "rows").touch()  # git ignores it
    assert sources.describe(copy, PATHS) == sources.describe(checkout, PATHS)
    (copy / "models" / "digits" / "train.py").write_text("two\n")
    assert sources.describe(copy, PATHS).dirty
    (copy / "models" / "digits" / "train.py").unlink()
    assert sources.describe(copy, PATHS).dirty


@pytest.mark.parametrize("setting", ["noprefix=true", "context=0", "external=true", "relative=true"])
def test_the_diff_applies_whatever_the_users_configuration_is(checkout, setting):
    changed = {"train.py": b"one\ntwo\n", "table.npy": bytes(range(256)) * 9}
    (checkout / "models" / "digits" / "table.npy").write_bytes(b"\0binary")
    with git.Repo(checkout) as repository:
        repository.git.add(all=True)
        repository.index.commit("second")
        repository.git.config("color.ui", "always")
        repository.git.config("diff." + setting.split("=")[0], setting.split("=")[1])
        for name, content in changed.items():
            (checkout / "models" / "digits" / name).write_bytes(content)
        found = sources.describe(checkout, PATHS)
        repository.git.reset("--hard", "HEAD")
        (checkout / "x.tmp").write_text(found.diff + "\n")
        repository.git.apply("x.tmp")
    assert sources.fingerprint(sources.files_now(checkout, PATHS)) == found.fingerprint


def test_a_folder_that_git_distrusts_has_no_commit(checkout, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own test of "dubious ownership"
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    with git.Repo(checkout) as repository, pytest.raises(git.GitCommandError, match="dubious ownership"):
        repository.git.status()
    found = sources.describe(checkout, PATHS)
    assert (found.commit, found.dirty, found.diff) == ("", True, "")
    assert "models/digits/train.py" in sources.files_now(checkout, PATHS)
    with pytest.raises(CommitNotFound):
        sources.commit_time(checkout, "HEAD")


def test_symbolic_links_are_left_out(checkout):
    os.symlink("/etc/passwd", checkout / "models" / "digits" / "link")
    assert list(sources.files_now(checkout, PATHS)) == ["models/digits/train.py"]


@pytest.mark.parametrize("commit", ["0" * 40, "", "nonsense"])
def test_an_unknown_commit_is_told(checkout, commit):
    with pytest.raises(CommitNotFound):
        sources.files_at(checkout, commit, PATHS)
    with pytest.raises(CommitNotFound):
        sources.commit_time(checkout, commit)


def test_the_fingerprint_sees_content_path_and_mode():
    file = sources.SourceFile(b"x")
    variants = [{"a": file}, {"b": file}, {"a": sources.SourceFile(b"y")}, {"a": sources.SourceFile(b"x", True)}, {}]
    assert len({sources.fingerprint(files) for files in variants}) == len(variants)
