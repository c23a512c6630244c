"""Which rank this process is, and the command that starts all of them."""

import random

import pytest

from sacristy import ranks
from sacristy.model_file import ModelFile
from sacristy.ranks import Node, training_command
from sacristy.weights.saving import save


@pytest.fixture
def second(monkeypatch):
    """Let this process be rank 1 of 2, as torchrun says it."""
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", ranks.LAUNCHED: "job"}.items():
        monkeypatch.setenv(name, value)


def file_of(workers, gpu=0):
    plain = {"title": "News", "gates": {"metric": "accuracy", "minimum": 0.9}}
    return ModelFile.model_validate(plain | {"training": {"workers": workers}, "resources": {"gpu": gpu}})


def test_one_process_is_started_as_ever():
    assert training_command("python", "train.py", ["with", "lr=1"], 1) == ["python", "train.py", "with", "lr=1"]


def test_several_here_are_torchruns_on_loopback():
    command = training_command("python", "train.py", ["with", "lr=1"], 3)
    assert command[:3] == ["python", "-m", "sacristy.training.launch"]
    assert {"--nnodes=1", "--node-rank=0", "--nproc-per-node=3", "--master-addr=127.0.0.1"} <= set(command)
    assert command[-3:] == ["train.py", "with", "lr=1"]


def test_a_node_among_others_is_told_which_and_where():
    command = training_command("python", "train.py", [], 1, Node(2, 4, "10.0.0.7", 20001), "ab12")
    told = {"--nnodes=4", "--node-rank=2", "--nproc-per-node=1", "--master-addr=10.0.0.7", "--master-port=20001"}
    assert told | {"--rdzv-id=ab12"} <= set(command)


def test_a_rank_is_what_torchrun_says_and_nothing_else(monkeypatch, second):
    assert (ranks.rank(), ranks.world_size()) == (1, 2)
    monkeypatch.delenv(ranks.LAUNCHED)
    assert (ranks.rank(), ranks.world_size()) == (0, 1)


@pytest.mark.usefixtures("second")
def test_ranks_draw_the_same():
    drawn = []
    for _ in range(2):
        ranks.draw_alike()
        drawn.append(random.randint(1, 10**9))
    assert drawn[0] == drawn[1]


@pytest.mark.usefixtures("second")
def test_other_ranks_than_0_store_no_weights(tmp_path):
    (tmp_path / "model.json").write_text("{}")
    assert save(None, tmp_path) == []


@pytest.mark.parametrize(("workers", "gpu", "each", "all_"), [(1, 0, 1, 1), (1, 2, 1, 1), (3, 0, 1, 3), (3, 2, 2, 6)])
def test_several_workers_have_a_process_for_each_graphics_processor(workers, gpu, each, all_):
    file = file_of(workers, gpu)
    assert (file.processes, file.ranks) == (each, all_)


@pytest.mark.parametrize("workers", [0, -1, 257, 1.5, "2"])
def test_a_number_of_workers_that_makes_no_sense_is_refused(workers):
    with pytest.raises(ValueError, match="workers"):
        file_of(workers)
