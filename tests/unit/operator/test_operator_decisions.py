"""What the operator decides to do, and how long it leaves a stage alone whose image does not come up."""

from dataclasses import replace

import pytest

from sacristy.names import Stage
from sacristy.operator.decide import LONGEST_WAIT_S, Do, Patience, decide
from sacristy.targets.routes import Route

KEY = ("news", Stage.PRODUCTION)
OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
ROUTE = Route("http://127.0.0.1:1", "1", OLD, 1, "process", "news-production-1.00000000")


@pytest.fixture
def patience():
    return Patience(spread=lambda: 1.0)


def test_nothing_is_done_for_a_stage_that_is_well():
    assert decide(KEY, OLD, ROUTE, "") is None


def test_a_stage_that_moved_is_deployed_even_if_what_runs_has_a_fault():
    task = decide(KEY, NEW, ROUTE, "it does not run")
    assert (task.do, task.digest, task.why) == (Do.DEPLOY, NEW, "version 1 answers for it")


def test_a_stage_that_runs_nowhere_is_deployed():
    assert decide(KEY, OLD, None, "").do is Do.DEPLOY


def test_a_fault_of_the_right_version_is_repaired():
    task = decide(KEY, OLD, ROUTE, "Service news is gone")
    assert (task.do, task.why) == (Do.REPAIR, "Service news is gone")


def test_a_failed_digest_is_left_alone_ever_longer(patience):
    task, waits = decide(KEY, NEW, ROUTE, ""), []
    for _ in range(9):
        patience.failed(KEY, NEW, now=0.0)
        waits.append(next(second for second in range(1000) if patience.allows(task, second)))
    assert waits == [10, 20, 40, 80, 160, 320, 600, 600, LONGEST_WAIT_S]


def test_another_digest_is_tried_at_once_and_counted_anew(patience):
    task = decide(KEY, NEW, ROUTE, "")
    patience.failed(KEY, OLD, now=0.0, times=5)
    assert patience.allows(task, 0.1)
    patience.failed(KEY, NEW, now=0.0)
    assert patience.allows(task, 10.0)
    assert patience.allows(replace(task, digest=OLD), 0.1)


def test_success_ends_the_patience(patience):
    patience.failed(KEY, NEW, now=0.0)
    patience.succeeded(KEY)
    assert patience.allows(decide(KEY, NEW, ROUTE, ""), 0.0)
