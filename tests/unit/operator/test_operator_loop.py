"""The operator's turn: who does not hold the lease does nothing; each change is one task; failures are waited out."""

import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from sacristy import waiting
from sacristy.errors import ApprovalMissing, PodNotStarted, ReleaseLocked
from sacristy.names import Stage, Version
from sacristy.operator.decide import Do, Task
from sacristy.operator.deployment import Deployment
from sacristy.operator.loop import Operator
from sacristy.targets.routes import Route, set_route
from sacristy.targets.target import Image

OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
KEY = ("news", Stage.PRODUCTION)


class World:
    """What an operator looks at and acts on, from memory: its time, its lease, the wishes, the records, the faults."""

    def __init__(self, routes_file):
        self.now, self.leads, self.faulty, self.records, self.performed = 1000.0, True, {}, [], []
        self.fails, self.in_vain = None, False
        settings = SimpleNamespace(routes_file=routes_file)
        target = SimpleNamespace(
            faults=lambda served: {
                each.instance: self.faulty[each.instance] for each in served if each.instance in self.faulty
            }
        )
        yard = SimpleNamespace(settings=settings, database={"deployments": self}, target=target)
        self.watch = SimpleNamespace(wishes={KEY: OLD}, away="", look=lambda *_, **__: None)
        lease = SimpleNamespace(hold=lambda: self.leads, held=True, holder="one", release=lambda: None)
        self.routes_file = routes_file
        self.route(OLD)
        clock = lambda: self.now  # noqa: E731
        self.operator = Operator(
            {"process": yard}, "process", list, self.watch, lease, clock=clock, perform=self.perform
        )

    def aggregate(self, _):
        return self.records

    def route(self, digest):
        set_route(
            self.routes_file, *KEY, Route("http://x", "1", digest, 1, "process", f"news-production-1.{digest[7:15]}")
        )

    def perform(self, _, task):
        self.performed.append(task)
        if self.fails:
            raise self.fails
        self.route(task.digest)
        if not self.in_vain:
            self.faulty.clear()
        return Deployment(Image("news", Version(1), 1, task.digest), task.stage, changed=True, url="")

    def turns(self, count):
        for _ in range(count):
            self.now += 1
            self.operator.turn()
            self.operator.idle()
        return self.performed


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "routes.json")
    yield made
    made.operator.finish()


def test_where_all_is_well_nothing_is_done(world):
    assert world.turns(30) == []


def test_a_change_is_one_task(world):
    world.watch.wishes[KEY] = NEW
    (task,) = world.turns(30)
    assert (task.do, task.digest) == (Do.DEPLOY, NEW)


def test_who_does_not_hold_the_lease_does_nothing(world):
    world.watch.wishes[KEY], world.leads = NEW, False
    assert world.turns(30) == []


def test_who_loses_the_lease_while_it_looks_begins_nothing_and_publishes_nothing(world):
    published = []
    world.operator._publisher = SimpleNamespace(begin=lambda: None, publish=lambda: published.append(1))
    world.turns(1)
    world.watch.wishes[KEY], world.watch.look = NEW, lambda *_, **__: setattr(world, "leads", False)
    assert world.turns(1) == []
    assert published == [1]


def test_what_was_changed_by_hand_is_repaired_once(world):
    world.turns(1)
    world.faulty[f"news-production-1.{OLD[7:15]}"] = "Service news is gone"
    (task,) = world.turns(30)
    assert (task.do, task.why) == (Do.REPAIR, "Service news is gone")


def test_a_repair_without_effect_is_repeated_ever_more_seldom_until_all_is_well(world):
    world.turns(1)
    world.in_vain = True
    world.faulty[f"news-production-1.{OLD[7:15]}"] = "Service news is gone"
    assert 4 <= len(world.turns(150)) <= 7
    assert world.operator.patience.failing == 1
    world.in_vain = False
    world.faulty.clear()
    before = len(world.turns(11))
    assert world.operator.patience.failing == 0
    world.faulty[f"news-production-1.{OLD[7:15]}"] = "Service news is gone"
    assert len(world.turns(11)) == before + 1


def test_a_version_that_fails_is_tried_again_ever_more_seldom(world):
    world.watch.wishes[KEY] = NEW
    world.fails = PodNotStarted(image="news:2", reason="no room", mend="wait", lacks_gpu=False)
    assert 4 <= len(world.turns(150)) <= 6


def test_a_fault_that_nobody_foresaw_is_told_and_waited_out_too(world, caplog):
    world.watch.wishes[KEY] = NEW
    world.fails = OSError(28, "No space left on device")
    assert 4 <= len(world.turns(150)) <= 6
    assert "No space left on device" in caplog.text
    assert world.operator.patience.failing == 1


def test_a_stage_that_moves_on_from_a_failure_is_deployed_at_once(world):
    world.watch.wishes[KEY] = NEW
    world.fails = PodNotStarted(image="news:2", reason="no room", mend="wait", lacks_gpu=False)
    world.turns(3)
    world.fails, world.watch.wishes[KEY] = None, "sha256:" + "c" * 64
    assert len(world.turns(1)) == 2


def test_a_stage_that_moves_while_it_is_deployed_is_deployed_again_at_once(world):
    moved = iter(["sha256:" + "c" * 64])

    def perform(yard, task):
        made = world.perform(yard, task)
        world.watch.wishes[KEY] = next(moved, task.digest)
        return made

    world.operator._perform, world.watch.wishes[KEY] = perform, NEW
    assert [task.digest for task in world.turns(2)] == [NEW, "sha256:" + "c" * 64]


def test_a_stage_that_somebody_else_deploys_is_looked_at_again_soon(world):
    world.watch.wishes[KEY] = NEW
    world.fails = ReleaseLocked(action="deployment", model="news", owner="ana", age_s=1, lease_s=60)
    assert len(world.turns(12)) == 3
    assert world.operator.patience.failing == 0


def test_whoever_follows_has_the_patience_of_the_one_before(world):
    world.watch.wishes[KEY] = NEW
    failed = {"digest": NEW, "state": "failed", "at": datetime.now(UTC) - timedelta(seconds=5)}
    world.records = [{"_id": {"model": "news", "stage": "production"}, "records": [failed] * 3}]
    assert world.turns(20) == []
    assert len(world.turns(40)) == 1


def test_told_to_end_it_leaves_what_it_waits_for_to_the_next_one(world, monkeypatch):
    monkeypatch.setattr(waiting, "_told", threading.Event())
    begun = threading.Event()

    def rollout(*_):
        begun.set()
        waiting.pause(600)

    world.watch.wishes[KEY], world.operator._perform = NEW, rollout
    world.operator.turn()
    assert begun.wait(10)
    waiting.tell()
    world.operator.finish()
    ((task, result),) = world.operator.outcomes
    assert (task.digest, result) == (NEW, "left")
    assert world.operator.patience.failing == 0


def test_a_version_that_does_not_come_up_keeps_nobody_from_waking_the_one_before_it(world):
    woken = []
    asked = Task(Do.WAKE, *KEY, OLD, "it is asked")
    world.operator._naps = SimpleNamespace(
        look=lambda _: None, due=lambda _: [asked], perform=lambda _, task: woken.append(task)
    )
    world.watch.wishes[KEY] = NEW
    world.fails = PodNotStarted(image="news:2", reason="no room", mend="wait", lacks_gpu=False)
    assert len(world.turns(5)) == 1
    assert set(woken) == {asked}
    assert world.operator.patience.failing == 1


def test_a_canary_that_waits_for_a_second_person_is_asked_for_seldom_and_holds_up_nothing(world):
    asked, due = [], Task(Do.PROMOTE, *KEY, "sha256:" + "c" * 64, "it sang")

    def perform(task):
        asked.append(task)
        raise ApprovalMissing(image="news:3", stage="production", wanted=1, found=0, user="operator")

    world.operator._trials = SimpleNamespace(due=lambda *_: [due], perform=perform)
    assert world.turns(30) == []
    assert 2 <= len(asked) <= 3
    world.watch.wishes[KEY] = NEW
    assert [task.do for task in world.turns(2)] == [Do.DEPLOY]


def test_a_canary_is_left_alone_while_its_stage_moves(world):
    asked, due = [], Task(Do.WITHDRAW, *KEY, "sha256:" + "c" * 64, "it crowed")
    world.operator._trials = SimpleNamespace(due=lambda *_: [due], perform=asked.append)
    world.watch.wishes[KEY] = NEW
    assert [task.do for task in world.turns(1)] == [Do.DEPLOY]
    assert asked == []
    world.turns(1)
    assert asked == [due]
