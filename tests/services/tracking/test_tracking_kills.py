"""A trainer, its shipper or a resync that is killed at any moment: what was logged is there, and nothing twice."""

import datetime
import itertools
import random
import subprocess
import sys
import time

from sacristy.settings import Role
from sacristy.tracking.resync import reap, resync
from sacristy.tracking.runs import find_run, list_runs

from .conftest import assert_nothing_is_left, assert_whole


def test_the_trainer_is_killed_at_twenty_random_points(bench):
    for attempt in range(20):
        trainer = bench.start(env={"FOR": 60, "RATE": 20_000, "TRUTH": f"truth{attempt}"})
        bench.wait_until((bench.project / f"truth{attempt}").exists)
        time.sleep(random.uniform(0.05, 0.8))
        trainer.kill()
        trainer.communicate()
        bench.wait_until(lambda: not any(bench.settings.journals.iterdir()))
        run, logged = bench.newest(), bench.truth(f"truth{attempt}")
        assert len(bench.points(run)) in (logged, logged + 1)
        assert_whole(bench, run, len(bench.points(run)), "DEAD")
        assert not run.complete
    assert len(list_runs(bench.db)) == 20


def test_trainer_and_shipper_are_killed_together(bench):
    trainer = bench.start(env={"FOR": 60, "RATE": 20_000})
    run = bench.wait_for_run()
    assert reap(bench.db) == []
    bench.kill_with_shipper(trainer)
    time.sleep(1)
    assert reap(bench.db, silence_s=1) == [run.id]
    assert find_run(bench.db, run.id).status == "DEAD"
    (sent,) = resync(bench.settings, bench.connect)
    assert (sent.run, sent.complete) == (run.id, False)
    assert len(bench.points(run)) in (bench.truth(), bench.truth() + 1)
    assert_whole(bench, bench.newest(), len(bench.points(run)), "DEAD")


def test_a_run_of_plain_sacred_that_has_just_begun_is_not_dead(bench):
    admin, now = bench.server.database(Role.ADMIN), datetime.datetime.now(datetime.UTC)
    for number, begun in ((880_001, now), (880_002, now - datetime.timedelta(minutes=5))):
        admin.runs.insert_one({"_id": number, "status": "RUNNING", "heartbeat": None, "start_time": begun})
    try:
        assert reap(bench.db) == [880_002]
    finally:
        admin.runs.delete_many({"_id": {"$gte": 880_001, "$lte": 880_002}})


def test_a_run_that_was_only_cut_off_comes_back_from_the_dead(bench):
    trainer = bench.start(env={"FOR": 6})
    run = bench.wait_for_run()
    assert reap(bench.db, silence_s=-1) == [run.id]
    bench.wait_until(lambda: find_run(bench.db, run.id).status == "RUNNING")
    document = find_run(bench.db, run.id).document
    assert document["stop_time"] is None
    assert "reaped" not in document["sacristy"]
    assert trainer.poll() is None
    trainer.communicate(timeout=60)
    assert_whole(bench, bench.newest(), bench.truth())


def test_resync_is_killed_at_random_points_and_run_twice_at_once(bench):
    bench.server.kill()
    logs = "\n    ".join(f"[_run.log_scalar('m{m}', i) for i in range(30_000)]" for m in range(4))
    for _ in range(2):
        bench.train(f"@ex.automain\ndef main(_run):\n    {logs}\n")
    bench.server.start()
    code = "from sacristy.settings import load; from sacristy.tracking import resync, shipper\n"
    code += "list(resync.resync(load(), shipper.training_database))"
    environment = bench.server.environment(bench.project, bench.home)

    def resync_process():
        return subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], env=environment, cwd=bench.project)

    for _ in range(8):
        process = resync_process()
        time.sleep(random.uniform(0.3, 1.2))
        process.kill()
        process.wait()
    for process in [resync_process(), resync_process()]:
        assert process.wait(60) == 0
    list(resync(bench.settings, bench.connect))
    runs = list_runs(bench.db)
    assert [run.complete for run in runs] == [True, True]
    for run, metric in itertools.product(runs, (f"m{m}" for m in range(4))):
        series = bench.points(run, metric)
        assert list(series.values) == list(series.steps) == list(range(30_000))
    assert_nothing_is_left(bench)
