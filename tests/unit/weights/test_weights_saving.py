from __future__ import annotations

import pytest

from sacristy import weights
from sacristy.errors import InvalidName, NoWeights, WeightsRefused


class Observer:
    def __init__(self):
        self.notes = {}

    def note(self, key, value):
        self.notes[key] = value


class Run:
    """As much of a Sacred run as saving touches."""

    def __init__(self):
        self.observer = Observer()
        self.info = {}


@pytest.fixture
def folder(write, tensors):
    write("model.safetensors", tensors({}))
    write("golden.json", b"[]")
    return write("heldout.jsonl", b"{}\n").parent


def test_all_files_are_stored_and_noted_with_their_roles(folder, store):
    run = Run()
    files = weights.save(run, folder, store=store)
    assert [(file.name, file.role) for file in files] == [
        ("golden.json", "golden"),
        ("heldout.jsonl", "heldout"),
        ("model.safetensors", "weights"),
    ]
    assert all(store.has(file.digest) for file in files)
    assert run.observer.notes == {"weights": [vars(file) for file in files]}
    assert run.info["weights"] == {"files": 3, "size_bytes": 2 + 3 + 10}


def test_one_bad_file_and_nothing_is_stored_or_noted(folder, store, write):
    write("z.txt", b"\x80\x04.")
    run = Run()
    with pytest.raises(WeightsRefused, match="a pickle"):
        weights.save(run, folder, store=store)
    assert list(store.list()) == []
    assert run.observer.notes == run.info == {}


def test_a_folder_in_the_folder_is_refused(folder, store):
    (folder / "deep").mkdir()
    with pytest.raises(WeightsRefused, match="flat"):
        weights.save(Run(), folder, store=store)


@pytest.mark.parametrize("name", [".hidden.json", "-x.json", "ü.json", "a b.json"])
def test_a_name_outside_of_the_grammar_is_refused(folder, store, write, name):
    write(name, b"[]")
    with pytest.raises(InvalidName):
        weights.save(Run(), folder, store=store)


def test_examples_alone_are_no_weights(folder, store):
    (folder / "model.safetensors").unlink()
    with pytest.raises(NoWeights):
        weights.save(Run(), folder, store=store)


def test_a_missing_or_empty_folder_is_no_weights(tmp_path, store):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "missing"):
        with pytest.raises(NoWeights):
            weights.save(Run(), folder, store=store)
