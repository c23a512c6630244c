from __future__ import annotations

import dataclasses
import json
import subprocess
import tarfile

import git
import pytest

from sacristy.errors import (
    BlobDamaged,
    BlobNotFound,
    CommitNotFound,
    DirtyTree,
    InvalidName,
    RunIncomplete,
    RunNotCompleted,
    RunWithoutWeights,
    SourcesChanged,
    VersionTaken,
)
from sacristy.images import layers
from sacristy.images.build import build
from sacristy.images.layers import Member, write_layer
from sacristy.images.layout import FolderRegistry
from sacristy.names import Version
from sacristy.settings import Settings


def members_of(registry, digest):
    """Return every tar member of an image by name."""
    found = {}
    for layer in registry.manifest("toy", digest)["layers"]:
        with registry.open_blob("toy", layer["digest"]) as source, tarfile.open(fileobj=source, mode="r|") as archive:
            found |= {member.name: member for member in archive}
    return found


def content_of(registry, digest, name):
    for layer in registry.manifest("toy", digest)["layers"]:
        with registry.open_blob("toy", layer["digest"]) as source, tarfile.open(fileobj=source, mode="r|") as archive:
            for member in archive:
                if member.name == name:
                    return archive.extractfile(member).read()
    raise AssertionError(name)


def test_an_image_holds_runtime_model_weights_and_baseline(image, built):
    files = {name for name, member in members_of(built, image.digest).items() if member.isfile()}
    runtime = {"app/sacristy/" + name for name in ("__init__.py", "names.py", "errors.py", "s3.py")}
    runtime |= {"app/sacristy/serving/__init__.py", "app/sacristy/serving/app.py"}
    model = {"app/model/model.toml", "app/model/Pipfile.lock", "app/model/serve.py"}
    weights = {f"app/weights/{name}" for name in ("model.safetensors", "vocabulary.json", "golden.json")}
    assert files == runtime | model | weights | {"app/baseline.json"}


def test_nothing_of_this_machine_is_in_a_member(image, built):
    for member in members_of(built, image.digest).values():
        assert (member.uid, member.gid, member.uname, member.gname, member.mtime) == (0, 0, "", "", 0)
        assert member.mode == (0o755 if member.isdir() else 0o644)
        assert member.pax_headers == {}


def test_the_result_says_what_was_built(image, built):
    assert (image.model, image.version, image.new) == ("toy", Version(7), True)
    assert image.layers == 5  # runtime, model, one large file, the small ones, baseline
    assert built.versions("toy") == {Version(7): image.digest}
    assert str(built.image("toy", "7")) == "toy:7"
    assert built.image("toy", image.digest).run == 7


def test_the_baseline_says_all_that_went_in(image, built, run_of):
    found = json.loads(content_of(built, image.digest, "app/baseline.json"))
    run = run_of()
    assert (found["model"], found["run"], found["version"], found["dirty"]) == ("toy", 7, "7", False)
    assert (found["commit"], found["sources"], found["lock"]) == (run.commit, run.sources, run.lock)
    assert found["config"] == {"lr": 0.1, "worst": "nan"}
    assert [file["role"] for file in found["weights"]] == ["weights", "weights", "golden", "heldout"]
    assert found["base_image"] is None


def test_the_labels_lead_back_to_run_code_and_data(image, built, run_of):
    config = built.config("toy", image.digest)
    labels = config["config"]["Labels"]
    assert config["created"] == labels["org.opencontainers.image.created"] == "2026-01-02T03:04:05Z"
    assert labels["org.opencontainers.image.revision"] == run_of().commit
    assert labels["dev.sacristy.run"] == "7"
    assert labels["dev.sacristy.dirty"] == "false"
    assert labels["dev.sacristy.data"] == "sha256:" + "2" * 64


def test_the_same_run_built_again_is_the_same_image(image, settings, store, run_of):
    again = build(settings, run_of(), store=store)
    assert again == dataclasses.replace(image, new=False)


def test_two_clones_give_the_same_digest(image, settings, store, run_of, tmp_path):
    clone = tmp_path / "elsewhere" / "clone"
    git.Repo.clone_from(settings.project, clone).close()
    other = build(Settings(project=clone), run_of(), store=store)
    assert other.new
    assert other.digest == image.digest


def test_a_later_commit_does_not_change_an_old_run(image, settings, store, project, run_of):
    run = run_of()
    (project / "sacristy" / "names.py").write_text("NAME = 2\n")
    (project / "models" / "toy" / "serve.py").write_text("import os\n")
    assert build(settings, run, store=store).digest == image.digest


def test_a_second_version_shares_all_but_what_changed(image, settings, store, run_of, built):
    second = build(settings, run_of(8, content=b"v" * (1 << 20)), store=store)
    before = [layer["digest"] for layer in built.manifest("toy", image.digest)["layers"]]
    after = [layer["digest"] for layer in built.manifest("toy", second.digest)["layers"]]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, True, False, True, False]


def test_one_layer_for_all_when_there_are_many_small_files(store, run_of):
    file = run_of().weights[1]
    files = [dataclasses.replace(file, name=f"{number}.json") for number in range(300)]
    assert [len(members) for members in layers.weights_layers(store, files)] == [300]


def test_at_most_32_large_files_have_layers_of_their_own(store, run_of):
    file = run_of().weights[0]
    files = [dataclasses.replace(file, name=f"{number}.safetensors") for number in range(40)]
    assert [len(members) for members in layers.weights_layers(store, files)] == [1] * 32 + [8]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"status": "RUNNING"}, RunNotCompleted),
        ({"status": "FAILED"}, RunNotCompleted),
        ({"complete": False}, RunIncomplete),
        ({"weights": ()}, RunWithoutWeights),
        ({"dirty": True}, DirtyTree),
        ({"commit": "0" * 40}, CommitNotFound),
        ({"commit": "no such commit"}, CommitNotFound),
        ({"commit": ""}, CommitNotFound),
        ({"model": "../toy"}, InvalidName),
    ],
)
def test_a_run_that_cannot_be_built_is_refused_and_leaves_no_tag(settings, store, run_of, built, changes, error):
    with pytest.raises(error):
        build(settings, run_of(**changes), store=store)
    assert built.repositories() == []


def test_held_out_examples_alone_are_no_weights(settings, store, run_of):
    run = run_of()
    with pytest.raises(RunWithoutWeights):
        build(settings, dataclasses.replace(run, weights=run.weights[2:]), store=store)


def test_a_dirty_run_is_built_when_asked_for_and_says_so(settings, store, run_of, project, built):
    (project / "models" / "toy" / "serve.py").write_text("changed\n")
    run = run_of()
    assert run.dirty
    with pytest.raises(DirtyTree):
        build(settings, run, store=store)
    image = build(settings, run, store=store, allow_dirty=True)
    assert content_of(built, image.digest, "app/model/serve.py") == b"changed\n"
    assert json.loads(content_of(built, image.digest, "app/baseline.json"))["dirty"] is True
    assert built.config("toy", image.digest)["config"]["Labels"]["dev.sacristy.dirty"] == "true"


def test_a_dirty_run_is_refused_when_the_tree_has_moved_on(settings, store, run_of, project, built):
    (project / "models" / "toy" / "serve.py").write_text("changed\n")
    run = run_of()
    (project / "models" / "toy" / "serve.py").write_text("changed again\n")
    with pytest.raises(SourcesChanged):
        build(settings, run, store=store, allow_dirty=True)
    assert built.repositories() == []


def test_weights_with_a_flipped_byte_are_refused_with_key_and_digests(settings, store, run_of, built):
    run = run_of()
    path = store.path(run.weights[0].digest)
    path.chmod(0o644)
    path.write_bytes(b"x" + path.read_bytes()[1:])
    with pytest.raises(BlobDamaged) as caught:
        build(settings, run, store=store)
    assert caught.value.fields["expected"] == run.weights[0].digest
    assert caught.value.fields["key"] in str(caught.value)
    assert built.repositories() == []


def test_missing_weights_are_refused(settings, store, run_of):
    run = run_of()
    store.delete(run.weights[0].digest)
    with pytest.raises(BlobNotFound):
        build(settings, run, store=store)


@pytest.mark.parametrize("size", [0, 5, 1 << 30])
def test_weights_of_another_size_than_listed_are_refused(settings, store, run_of, size):
    run = run_of()
    files = (dataclasses.replace(run.weights[0], size=size), *run.weights[1:])
    with pytest.raises(BlobDamaged):
        build(settings, dataclasses.replace(run, weights=files), store=store)


def test_a_run_that_comes_out_different_needs_rebuild(image, settings, store, run_of, built):
    other = run_of(content=b"other" * 300_000)
    with pytest.raises(VersionTaken) as caught:
        build(settings, other, store=store)
    assert caught.value.fields["found"] == image.digest
    second = build(settings, other, store=store, rebuild=True)
    assert (second.version, second.new) == (Version(7, 1), True)
    assert built.versions("toy") == {Version(7): image.digest, Version(7, 1): second.digest}
    assert build(settings, other, store=store) == dataclasses.replace(second, new=False)
    assert build(settings, run_of(), store=store).digest == image.digest


def test_a_killed_build_leaves_no_tag_and_the_next_one_finishes(settings, store, run_of, built, monkeypatch, image):
    run = run_of(9, content=b"n" * (2 << 20))

    def killed(*_arguments, **_words):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("sacristy.images.layout.OciLayout.put_manifest", killed)
        with pytest.raises(KeyboardInterrupt):
            build(settings, run, store=store)
    assert list(built.tags("toy")) == ["7"]
    assert build(settings, run, store=store).new


def test_a_symbolic_link_in_the_model_is_left_out(settings, store, run_of, project, built):
    (project / "models" / "toy" / "passwd").symlink_to("/etc/passwd")
    with git.Repo(project) as repository:
        repository.git.add("-A")
        repository.git.execute(["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "link"])
    image = build(settings, run_of(), store=store)
    assert "app/model/passwd" not in members_of(built, image.digest)


def test_a_layer_is_what_gnu_tar_reads(tmp_path):
    path = tmp_path / "layer.tar"
    members = [Member("app/" + "d/" * 60 + "long name", 3, b"abc"), Member("app/x", 0, b"", executable=True)]
    with path.open("wb") as file:
        write_layer(file, members)
    listed = subprocess.run(["tar", "-tvf", path], capture_output=True, text=True, check=True).stdout.splitlines()
    assert listed[-1].split()[0] == "-rwxr-xr-x"
    assert any(line.endswith("long name") and " 3 " in line for line in listed)


def test_the_order_of_members_does_not_matter(tmp_path):
    members = [Member("app/a", 1, b"a"), Member("app/b/c", 1, b"c"), Member("app/b.txt", 1, b"b")]
    contents = []
    for order in (members, members[::-1]):
        with (tmp_path / "layer").open("wb") as file:
            write_layer(file, order)
        contents.append((tmp_path / "layer").read_bytes())
    assert contents[0] == contents[1]


def test_building_needs_no_other_registry(tmp_path):
    assert FolderRegistry(tmp_path / "nothing").repositories() == []
