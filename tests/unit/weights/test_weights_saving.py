from __future__ import annotations

import os
from contextlib import suppress

import pytest

from sacristy import weights
from sacristy.errors import InvalidName, NoWeights, WeightsRefused
from sacristy.weights import bar as bars


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


@pytest.fixture
def terminal():
    """A descriptor, and what was written to it so far."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)

    def written():
        try:
            return os.read(reading, 1 << 16).decode()
        except BlockingIOError:
            return ""

    yield writing, written
    os.close(reading)
    os.close(writing)


def ticking(step):
    """A clock that goes on by so many seconds with each look."""
    now = iter(step * number for number in range(1000))
    return lambda: next(now)


def test_a_terminal_is_shown_how_far_saving_is_and_left_clean(folder, store, terminal, monkeypatch):
    monkeypatch.setattr(bars, "EVERY_S", 0.0)
    run = Run()
    run.terminal, written = terminal
    weights.save(run, folder, store=store)
    text = written()
    assert text.startswith("\r\x1b[Kweights ")
    assert "0 of 0 MiB" in text
    assert text.endswith("\r\x1b[K")
    assert "\n" not in text


def test_who_asks_for_progress_gets_it_instead_of_the_bar(folder, store, terminal, monkeypatch):
    monkeypatch.setattr(bars, "EVERY_S", 0.0)
    run, counts = Run(), []
    run.terminal, written = terminal
    weights.save(run, folder, store=store, progress=counts.append)
    assert (sum(counts), written()) == (15, "")


def test_the_bar_is_drawn_now_and_then_and_never_overfull(terminal):
    number, written = terminal
    with bars.bar(number, "weights", 8 << 20, ticking(0.05)) as advance:
        for _ in range(40):
            advance(1 << 18)
    lines = written().split(bars.CLEAR)[1:]
    assert 5 <= len(lines) <= 15
    assert lines[-2:] == [bars.drawn("weights", 8 << 20, 8 << 20), ""]
    assert {len(line) for line in lines[:-1]} <= set(range(40, 80))
    assert bars.drawn("weights", 4 << 20, 8 << 20) == f"weights {'━' * 15}{'─' * 15} 4 of 8 MiB"


def test_what_is_quick_and_what_has_no_terminal_shows_nothing(terminal):
    number, written = terminal
    with bars.bar(number, "weights", 100, ticking(0.0)) as advance:
        advance(100)
    with bars.bar(None, "weights", 100) as advance:
        advance(100)
    assert written() == ""


def test_a_terminal_that_takes_nothing_or_is_gone_keeps_nobody_waiting(terminal):
    number, _ = terminal
    os.set_blocking(number, False)
    with suppress(BlockingIOError):
        while os.write(number, bytes(4096)):
            pass
    os.set_blocking(number, True)
    for each in (number, 1 << 20):
        with bars.bar(each, "weights", 100, ticking(1.0)) as advance:
            advance(100)
