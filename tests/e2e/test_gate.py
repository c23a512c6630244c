"""Candidates that must not get past the gate: worse, slower, leaking, crashing, hanging; each with its reason."""

import pytest

FAULTY = """

# --- faults of a candidate, chosen by a file; the warm-up goes well, as it would on the author's machine
import os
from pathlib import Path
from time import sleep

FLAG = Path({flag!r})
_sound, _asked, _leaked = Digits.predict, [], []


def predict(self, inputs):
    _asked.append(1)
    fault = FLAG.read_text() if FLAG.exists() and len(_asked) > 1 else ""
    if fault == "slow":
        sleep(0.12)
    if fault == "leak":
        _leaked.append(b"x" * (4 << 20))
    if fault == "crash":
        os._exit(3)
    if fault == "hang":
        sleep(3600)
    return _sound(self, inputs)


Digits.predict = predict
"""
GATES = {"minimum = 0.97": "minimum = 0.1", "timeout_s = 10": "timeout_s = 2"}


@pytest.fixture(scope="module")
def gate(clone):
    """A good version is in production; a candidate waits whose fault a file decides."""
    clone.run("up")
    names = {name: clone.folder / "models" / "digits" / name for name in ("model.toml", "serve.py")}
    kept = {name: path.read_text() for name, path in names.items()}
    clone.commit("models/digits/model.toml", eased(kept["model.toml"], margin=1.0))
    clone.run("train", "digits", "with", "epochs=4")
    good = clone.json("release", "digits")
    clone.run("promote", f"digits:{good['version']}", "production", "--why", "the good one")
    clone.commit("models/digits/model.toml", eased(kept["model.toml"], margin=0.01))
    flag = clone.folder.parent / "gate"
    clone.commit("models/digits/serve.py", kept["serve.py"] + FAULTY.format(flag=str(flag)))
    clone.run("train", "digits", "with", "epochs=4")
    candidate = f"digits:{clone.json('build', 'digits')['version']}"
    yield clone, flag, candidate
    flag.unlink(missing_ok=True)
    for name, text in kept.items():
        clone.commit(f"models/digits/{name}", text)


def eased(toml, margin):
    for strict, easy in GATES.items():
        toml = toml.replace(strict, easy)
    toml = toml.replace("margin = 0.01", f"margin = {margin}")
    return "\n".join("latency_p95_ms = 100" if "latency" in line else line for line in toml.splitlines()) + "\n"


def stopped(clone, image):
    """Test an image that must not pass, and return the one line that says why. Nothing of it may be left."""
    _, told = clone.run("test", image, code=1)
    line = told.strip().splitlines()[-1]
    assert line.startswith(f"error: {image} failed its acceptance test: ")
    left = {path.name for path in (clone.home / "logs").glob("digits-*.log")}
    assert not [name for name in left if "trial" in name or "rival" in name]
    return line


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("slow", "latency: p95 latency"),
        ("leak", "memory: peak memory"),
        ("crash", "golden: no answer"),
        ("hang", "golden: status 504"),
    ],
)
def test_a_faulty_candidate_is_stopped_with_its_reason(gate, fault, said):
    clone, flag, candidate = gate
    flag.write_text(fault)
    assert said in stopped(clone, candidate)


def test_what_was_stopped_cannot_be_promoted(gate):
    clone, _, candidate = gate
    clone.run("push", candidate)
    _, told = clone.run("promote", candidate, "production", "--why", "hurry", code=1)
    assert "failed its acceptance test" in told
    assert told.count("\n") == 1


def test_a_worse_candidate_is_stopped_though_it_reaches_its_own_gate(gate):
    clone, flag, _ = gate
    flag.unlink(missing_ok=True)
    clone.run("train", "digits", "with", "epochs=1", "lr=0.0001")
    worse = f"digits:{clone.json('build', 'digits')['version']}"
    line = stopped(clone, worse)
    assert "score: accuracy" in line
    assert "is worse than" in line


def test_without_its_fault_the_candidate_passes(gate):
    clone, flag, candidate = gate
    flag.unlink(missing_ok=True)
    assert clone.json("test", candidate)["passed"]
