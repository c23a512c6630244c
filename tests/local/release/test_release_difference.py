"""What differs is shown from both sides, and nothing else."""

import pytest
from local.images.conftest import *  # noqa: F403 - a project, a store and a way to build images of it
from local.images.conftest import build, commit

from sacristy.errors import CommitNotFound
from sacristy.images.image import Image
from sacristy.images.layout import FolderRegistry
from sacristy.names import Version
from sacristy.release.difference import Place, compare, differing, flat
from sacristy.sources import changes, commits_between


def test_nested_values_are_named_by_their_path():
    assert flat({"a": {"b": 1, "c": {"d": None}}, "e": [1]}) == {"a.b": 1, "a.c.d": None, "e": [1]}
    assert flat(0.9) == {"value": 0.9}
    assert flat(None) == {}


def test_only_what_differs_is_told_and_a_missing_side_is_none():
    assert differing({"a": 1, "b": 2}, {"b": 2, "c": 3}) == {"a": (1, None), "c": (None, 3)}


class NoEvidence(dict):
    """A database without any verdict."""

    def __missing__(self, name):
        return self

    def find_one(self, *_, **__):
        return None


@pytest.fixture
def pair(settings, store, run_of, project):
    """Two images: other code, other configuration, other weights, a package more."""
    first = build(settings, run_of(7), store=store)
    (project / "models" / "toy" / "serve.py").write_text("import json\nimport os\n")
    (project / "models" / "toy" / "Pipfile.lock").write_text('{"default": {"attrs": {"version": "==1.0"}}}')
    (project / "Pipfile").write_text("# not in an image\n")
    commit(project)
    second = build(settings, run_of(8, content=b"v" * (1 << 20), config={"lr": 0.2}), store=store)
    registry = FolderRegistry(settings.images_folder)
    return [
        Place(Image("toy", Version(each.version.run), each.version.run, each.digest), registry)
        for each in (first, second)
    ]


def test_two_images_are_compared_in_every_part(pair, project):
    found = compare(project, NoEvidence(), *pair)
    assert found.config == {"lr": (0.1, 0.2), "worst": ("nan", None)}
    assert found.packages == {"attrs": (None, "1.0")}
    assert list(found.weights) == ["model.safetensors"]
    assert (found.data, found.scores) == ({}, {})
    assert [(file.path, file.added, file.removed) for file in found.code.files] == [
        ("models/toy/Pipfile.lock", 1, 1),
        ("models/toy/serve.py", 1, 0),
    ]
    assert found.code.between == 1
    assert 0 < found.shared_bytes < found.sizes[0]
    assert {part for part, *_ in found.rows()} == {"image", "code", "config", "weights", "packages"}


def test_an_image_does_not_differ_from_itself(pair, project):
    found = compare(project, NoEvidence(), pair[0], pair[0])
    assert {part for part, *_ in found.rows()} == {"image", "code"}
    assert found.code.files == []
    assert found.shared_bytes == found.sizes[0]


def test_a_commit_that_is_not_here_is_told_and_the_rest_shown(pair, project, tmp_path):
    found = compare(tmp_path, NoEvidence(), *pair)
    assert "is not in this repository" in found.code.note
    assert found.packages


def test_changes_need_commits_that_are_here(project):
    with pytest.raises(CommitNotFound):
        changes(project, "f" * 40, "HEAD", ["models"])
    assert commits_between(project, "HEAD", "HEAD") == 0
