"""The project in a bundle: a clone of it is on a branch, and takes the next bundle by `git pull`."""

import subprocess

import pytest

from sacristy.settings import Settings
from sacristy.stack.bundle import making
from sacristy.stack.bundle.making import Plan, make, take_project

AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@example.org")


def git(folder, *words):
    argv = ["git", "-C", str(folder), *AUTHOR, *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "ours")
    git(folder, "commit", "--allow-empty", "--message", "first")
    return folder


@pytest.fixture
def carried(project, tmp_path):
    """Take the project, and clone what was taken."""
    take_project(project, tmp_path / "project.bundle")
    git(tmp_path, "clone", "--quiet", "project.bundle", "there")
    return tmp_path / "there"


def test_a_clone_is_on_the_projects_branch_and_pulls_the_next_bundle(project, carried, tmp_path):
    assert git(carried, "branch", "--show-current") == "ours"
    git(project, "commit", "--allow-empty", "--message", "second")
    commit = take_project(project, tmp_path / "project.bundle")
    git(carried, "pull", "--quiet")
    assert git(carried, "rev-parse", "HEAD") == commit == git(project, "rev-parse", "HEAD")


def test_of_a_checkout_that_is_on_no_branch_the_commit_is_taken(project, tmp_path):
    git(project, "switch", "--quiet", "--detach")
    commit = take_project(project, tmp_path / "project.bundle")
    git(tmp_path, "clone", "--quiet", "project.bundle", "there")
    assert git(tmp_path / "there", "rev-parse", "HEAD") == commit


def test_what_a_killed_make_left_is_in_no_later_bundle(project, tmp_path, monkeypatch):
    for name in ("gather_wheels", "gather_npm", "gather_debian"):
        monkeypatch.setattr(making, name, lambda *_: None)
    monkeypatch.setattr(making, "gather_images", lambda *_: [])
    folder = tmp_path / "carried"
    (folder / ".save-abc").mkdir(parents=True)
    (folder / ".save-abc" / "image.tar").write_text("half of it")
    (folder / "project.bundle.lock").touch()
    manifest, _ = make(Settings(project=project), folder, Plan())
    assert [file.path for file in manifest.files] == ["project.bundle"]
