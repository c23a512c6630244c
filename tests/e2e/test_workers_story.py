"""A model of several workers on this machine: one run, one set of weights, and the code of the rank that broke."""

import shutil

import pytest
from story import ROOT

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def choir(clone):
    """The clone with the model `choir`, until the module's end."""
    clone.run("up")
    there = clone.folder / "models" / "choir"
    shutil.copytree(ROOT / "tests" / "choir", there, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("Pipfile", "Pipfile.lock"):
        shutil.copy(ROOT / "models" / "digits" / file, there / file)
    clone.git("add", "models/choir")
    clone.git("commit", "-m", "model choir")
    yield clone
    clone.git("rm", "-r", "--quiet", "models/choir")
    clone.git("commit", "-m", "no model choir")
    shutil.rmtree(there, ignore_errors=True)


def in_one_process(clone, *words):
    """Train with all else as it is; return the run."""
    toml = clone.folder / "models" / "choir" / "model.toml"
    several = toml.read_text()
    toml.write_text(several.replace("workers = 2", "workers = 1"))
    try:
        return clone.json("train", "choir", "with", *words)
    finally:
        toml.write_text(several)


def flat(value):
    return [number for row in value for number in flat(row)] if isinstance(value, list) else [value]


def runs(clone):
    return clone.json("runs", "--model", "choir", "--limit", "1000")


def test_several_processes_leave_one_run_and_one_set_of_weights(choir):
    run = choir.json("train", "choir", "with", "epochs=2", "seed=5")
    assert [each["_id"] for each in runs(choir)] == [run["_id"]]
    assert (run["status"], run["result"]["ranks"], run["sacristy"]["ranks"]) == ("COMPLETED", 2, 2)
    assert [file["name"] for file in run["sacristy"]["weights"]] == ["model.safetensors"]
    assert "rank 0 of 2 with seed 5" in run["captured_out"]
    alone = in_one_process(choir, "epochs=2", "seed=5")["result"]
    assert alone["ranks"] == 1
    for name in ("weight", "bias"):  # the averaged gradients are those of the whole batch
        assert flat(run["result"][name]) == pytest.approx(flat(alone[name]), rel=1e-12)


def test_the_code_of_the_rank_that_broke_is_the_commands(choir):
    before = len(runs(choir))
    said = "".join(choir.run("train", "choir", "with", "stands_at=1", "breaks=1", code=7))
    assert "[rank 1] out of tune" in said
    assert "sacristy: rank 1 ended with code 7\n  " in said
    assert "ended with code 7" in said.rpartition("out of tune")[2]
    (run, *others) = runs(choir)
    assert (run["status"], len(others)) == ("INTERRUPTED", before)
