"""Ray's and Optuna's own parts, begun from what past trials left: without a cluster, in their environment."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sacristy.environments import ensure_environment
from sacristy.search.driving import search_lock
from sacristy.settings import Settings

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[3]
SPACE = {"lr": {"low": 0.001, "high": 1.0, "log": True}, "kind": {"choice": ["a", "b"]}}
PAST = [
    {"number": n, "values": {"lr": 0.01 * n, "kind": "a"}, "points": [0.1 * n, 0.1 * n + 0.05]} for n in range(1, 10)
]
PENDING = [{"number": 10, "values": {"lr": 0.5, "kind": "b"}}]


@pytest.fixture(scope="module")
def python() -> Path:
    environments = Path(os.environ.get("SACRISTY_ENVIRONMENTS", ROOT / ".sacristy" / "environments"))
    return ensure_environment(Settings(project=ROOT, environments=environments), search_lock(Settings(project=ROOT)))


def sampled(python: Path, **changed: Any) -> dict[str, Any]:
    plan = {"trials": 13, "sampler": "asha", "seed": 1, "mode": "max", "space": SPACE, "grace": 1, "reduction": 3}
    plan |= {"past": PAST, "pending": PENDING, "new": [11, 12, 13], "next": 11}
    plan |= {"job": {"model": "toy"}, "ask": 5, "scores": [0.05, 0.95]}
    argv = [str(python), str(Path(__file__).with_name("sampled.py"))]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        argv, input=json.dumps(plan | changed), capture_output=True, text=True, env=environment, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("sampler", ["asha", "optuna", "random"])
def test_what_was_cut_off_comes_first_then_new_trials_then_no_more(python: Path, sampler: str) -> None:
    found = sampled(python, sampler=sampler)
    assert [config and config["number"] for config in found["first"]] == [10, 11, 12, 13, None]
    assert found["first"][0] == {"model": "toy", **PENDING[0]}
    assert found["first"] == found["second"]  # reproducible by the seed


def test_a_search_that_goes_on_judges_by_the_past_ones(python: Path) -> None:
    assert sampled(python)["decisions"] == {"0.05": "STOP", "0.95": "CONTINUE"}
    assert sampled(python, mode="min")["decisions"] == {"0.05": "CONTINUE", "0.95": "STOP"}
    assert sampled(python, sampler="random")["decisions"] == {"0.05": "CONTINUE", "0.95": "CONTINUE"}
