"""The project in a bundle: a clone of it is on a branch, and takes the next bundle by `git pull`."""

import subprocess

import pytest

from sacristy.stack.bundle.making import take_project

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
