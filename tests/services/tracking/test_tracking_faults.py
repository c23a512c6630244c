"""Whatever happens to the database, the trainer or the disk: every point once, in order, the status right."""

import signal
import threading
import time

import pytest

from sacristy.errors import NoCheckpoint, UnknownRun
from sacristy.settings import Role
from sacristy.tracking.checkpoints import resume_environment
from sacristy.tracking.resync import resync
from sacristy.tracking.runs import annotate, list_runs
from sacristy.tracking.sending import Sender
from sacristy.tracking.state import RunState

from .conftest import HEAD, STEADY, assert_whole

slow = pytest.mark.slow


@pytest.mark.parametrize("seconds", [5, pytest.param(23, marks=slow), pytest.param(47, marks=slow)])
def test_the_database_is_killed_in_the_middle(bench, seconds):
    trainer = bench.start(env={"FOR": seconds + 6})
    bench.wait_for_run()
    bench.server.kill()
    time.sleep(seconds)
    bench.server.start()
    _, said = trainer.communicate(timeout=120)
    assert trainer.returncode == 0, said
    run = bench.newest()
    assert_whole(bench, run, bench.truth())
    assert run.complete


def test_the_database_is_away_at_the_start(bench):
    bench.server.kill()
    trainer = bench.start(env={"FOR": 9})
    time.sleep(5)
    bench.server.start()
    _, said = trainer.communicate(timeout=120)
    assert trainer.returncode == 0, said
    assert b"gets its number when it is sent" in said
    assert_whole(bench, bench.newest(), bench.truth())


@pytest.mark.parametrize(("ending", "code", "status"), [("pass", 0, "COMPLETED"), ("1 / 0", 1, "FAILED")])
def test_the_database_is_away_at_the_end_and_the_journal_is_kept(bench, ending, code, status):
    script = STEADY.replace("    return", f"    {ending}\n    return")
    trainer = bench.start(script, env={"FOR": 3})
    bench.wait_for_run()
    bench.server.kill()
    _, said = trainer.communicate(timeout=120)
    assert trainer.returncode == code
    (journal,) = bench.journals()
    assert f"the run is kept in {journal}" in said.decode()
    assert "sacristy resync" in said.decode()
    bench.server.start()
    (sent,) = resync(bench.settings, bench.connect)
    assert (sent.outcome, sent.complete) == ("sent", True)
    assert list(resync(bench.settings, bench.connect)) == []
    assert_whole(bench, bench.newest(), bench.truth(), status)


def test_the_database_never_comes(bench):
    bench.server.kill()
    began = time.monotonic()
    said = bench.train(env={"FOR": 1})
    assert time.monotonic() - began < 30
    assert "the run is kept in" in said
    (left,) = resync(bench.settings, bench.connect)
    assert left.outcome == "unsent"
    assert "does not answer" in left.reason
    assert bench.journals() == [left.folder]


def test_sigterm_ends_a_run_as_interrupted_with_everything_stored(bench):
    trainer = bench.start(env={"FOR": 60})
    bench.wait_for_run()
    trainer.send_signal(signal.SIGTERM)
    trainer.communicate(timeout=30)
    assert trainer.returncode == 143
    run = bench.newest()
    count = len(bench.points(run))
    assert count in (bench.truth(), bench.truth() + 1)
    assert_whole(bench, run, count, "INTERRUPTED")


@pytest.mark.parametrize("endings", [(signal.SIGHUP, signal.SIGHUP), (signal.SIGTERM, signal.SIGHUP)])
def test_a_parent_or_terminal_that_goes_ends_it_as_well_and_never_cuts_that_off(bench, endings):
    trainer = bench.start(env={"FOR": 60}, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))
    bench.wait_for_run()
    for ending in endings:
        trainer.send_signal(ending)
        time.sleep(0.02)
    trainer.communicate(timeout=30)
    assert trainer.returncode == 143
    run = bench.newest()
    assert_whole(bench, run, len(bench.points(run)), "INTERRUPTED")


def test_what_nohup_began_goes_on_without_its_terminal(bench):
    trainer = bench.start(env={"FOR": 3}, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    bench.wait_for_run()
    trainer.send_signal(signal.SIGHUP)
    trainer.communicate(timeout=30)
    assert trainer.returncode == 0


def limit_files():
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))


@pytest.mark.parametrize(("policy", "code", "status"), [("continue", 0, "COMPLETED"), ("stop", 1, "FAILED")])
def test_the_journals_disk_is_full(bench, policy, code, status):
    head = HEAD.replace('"digits"', f'"digits", on_full_disk="{policy}"')
    script = "@ex.automain\ndef main(_run):\n    [_run.log_scalar('loss', 1 / (i + 1)) for i in range(50_000)]\n"
    said = bench.train(script, head=head, code=code, preexec_fn=limit_files)
    run = bench.newest()
    assert "cannot record the run in" in said
    assert "File too large" in said
    assert "Traceback" not in said
    assert_whole(bench, run, len(bench.points(run)), status)
    assert len(bench.points(run)) > 4000
    assert not run.complete
    assert run.document["sacristy"]["journal"]["lost"] >= 1


def test_thirty_two_runs_at_once_get_thirty_two_numbers(bench):
    numbers, start, database = [], threading.Barrier(32), bench.server.database(Role.TRAINING)

    def insert(name):
        state = RunState(f"digits-{name}")
        ours = {"model": "digits", "commit": "", "dirty": True}
        state.apply([{"e": "start", "time": 0, "document": {"status": "RUNNING", "sacristy": ours}}])
        sender = Sender(database, state, bench.home, lambda: None)
        start.wait()
        sender.send()
        numbers.append(sender.run)

    threads = [threading.Thread(target=insert, args=(name,)) for name in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 33))


@slow
def test_thirty_two_trainers_at_once(bench):
    trainers = [bench.start(env={"FOR": 2, "TRUTH": f"truth{n}"}) for n in range(32)]
    for trainer in trainers:
        _, said = trainer.communicate(timeout=280)
        assert trainer.returncode == 0, said
    list(resync(bench.settings, bench.connect))
    runs = list_runs(bench.db)
    assert sorted(run.id for run in runs) == list(range(1, 33))
    assert all(run.complete for run in runs)
    assert sorted(run.result["count"] for run in runs) == sorted(bench.truth(f"truth{n}") for n in range(32))
    for run in runs:
        assert_whole(bench, run, run.result["count"])


def test_a_retry_goes_on_from_its_parents_checkpoint(bench):
    script = """
    @ex.automain
    def main(_run):
        path = tracking.parent_checkpoint()
        begin = int(path.read_text()) if path else 0
        for epoch in range(begin, begin + 3):
            with open("state.txt", "w") as file:
                file.write(str(epoch + 1))
            tracking.checkpoint(_run, "state.txt")
        return {"begin": begin}
    """
    bench.train(script)
    first = bench.newest()
    bench.train(script, env=resume_environment(first.id, first.document))
    second = bench.newest()
    assert second.result == {"begin": 3}
    assert second.document["sacristy"]["parent"] == first.id
    with pytest.raises(NoCheckpoint):
        resume_environment(9, {"sacristy": {}})


def test_what_services_write_is_left_alone(bench):
    trainer = bench.start(env={"FOR": 4})
    run = bench.wait_for_run()
    annotate(bench.db, run.id, "deployment", {"url": "http://x"})
    trainer.communicate(timeout=60)
    assert bench.newest().document["sacristy"]["deployment"] == {"url": "http://x"}
    with pytest.raises(UnknownRun):
        annotate(bench.db, 999, "deployment", {})
