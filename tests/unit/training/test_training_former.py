"""What a pod makes of the run that an earlier pod left, and how checkpoints get into the store and out of it."""

from types import SimpleNamespace

import pytest

from sacristy.errors import NoCheckpoint, UnknownRun
from sacristy.tracking.runs import record
from sacristy.training.former import OVER, going_on, plan, settled
from sacristy.training.keeping import Keeper, fetch_checkpoint, stored
from sacristy.weights.folder import FolderStore


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "store")


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "checkpoints" / "news-1a" / "000003-state"
    (path / "deep").mkdir(parents=True)
    (path / "deep" / "moments").write_bytes(b"m")
    (path / "weights").write_bytes(b"w")
    return path


def run(status="INTERRUPTED", **ours):
    return record({"_id": 7, "status": status, "config": {"lr": 0.1, "seed": 3}, "sacristy": ours})


def noted(store, path):
    return {"number": 3, "name": path.name, "files": stored(store, path)}


class Runs:
    """Stands where the collection of runs is: takes the update, or knows no such run yet."""

    def __init__(self, known=True):
        self.known, self.updates = known, []

    def update_one(self, query, change):
        self.updates.append((query, change["$set"]))
        return SimpleNamespace(matched_count=int(self.known))


def test_a_first_pod_trains_as_it_was_told(store, tmp_path):
    start = plan(None, ["with", "lr=1"], same_job=False, store=store, folder=tmp_path)
    assert (start.words, start.environment, start.code) == (["with", "lr=1"], {}, None)


def test_the_next_pod_goes_on_with_the_same_configuration(store, tmp_path, checkpoint):
    former = run(kept_checkpoint=noted(store, checkpoint))
    start = plan(former, ["with", "lr=1"], same_job=True, store=store, folder=tmp_path / "new")
    assert start.words == ["with", "lr=0.1", "seed=3", "lr=1"]
    there = tmp_path / "new" / "000003-state"
    assert start.environment == {"SACRISTY_PARENT": "7", "SACRISTY_CHECKPOINT": str(there)}
    assert (there / "deep" / "moments").read_bytes() == b"m"


@pytest.mark.parametrize(("status", "code"), [("COMPLETED", 0), ("FAILED", 1)])
def test_a_job_whose_training_has_ended_trains_no_more(store, tmp_path, status, code):
    assert plan(run(status), [], same_job=True, store=store, folder=tmp_path).code == code


def test_of_several_workers_a_failed_run_is_gone_on_from_as_another_may_have_been_lost(store, tmp_path, checkpoint):
    former = run("FAILED", kept_checkpoint=noted(store, checkpoint))
    start = plan(former, [], same_job=True, store=store, folder=tmp_path / "new", over=OVER[:1])
    assert (start.code, start.parent, start.news["checkpoint"]["number"]) == (None, 7, 3)
    other = going_on(start.news, store, tmp_path / "other")
    assert (other.words, other.environment["SACRISTY_PARENT"]) == (start.words, "7")
    assert (tmp_path / "other" / "000003-state" / "weights").read_bytes() == b"w"


def test_without_a_checkpoint_it_trains_anew_unless_another_jobs_run_was_to_go_on(store, tmp_path):
    start = plan(run(), [], same_job=True, store=store, folder=tmp_path)
    assert (start.environment, start.code) == ({}, None)
    with pytest.raises(NoCheckpoint):
        plan(run(), [], same_job=False, store=store, folder=tmp_path)


def test_a_pod_that_ended_before_its_first_checkpoint_is_gone_on_from_where_it_began(store, tmp_path, checkpoint):
    first = record(run(kept_checkpoint=noted(store, checkpoint)).document | {"_id": 5})
    known = {5: first, 6: record(run(parent=5).document | {"_id": 6})}
    start = plan(run(parent=6), [], same_job=True, store=store, folder=tmp_path / "new", find=known.__getitem__)
    assert (start.parent, start.checkpoint["number"]) == (5, 3)
    assert start.environment["SACRISTY_PARENT"] == "5"


def test_a_pod_whose_forerunners_are_gone_trains_anew(store, tmp_path):
    def find(number):
        raise UnknownRun(run=number)

    start = plan(run(parent=6), [], same_job=True, store=store, folder=tmp_path, find=find)
    assert (start.environment, start.code) == ({}, None)


def waited(*runs):
    """Return which of the answers `settled` goes by, and after how many seconds."""
    now, answers = [0.0], list(runs)

    def find():
        return answers.pop(0) if len(answers) > 1 else answers[0]

    found = settled(find, clock=lambda: now[0], pause=lambda s: now.__setitem__(0, now[0] + s))
    return found, now[0]


def test_a_run_that_still_ends_is_waited_for_with_its_last_checkpoint():
    ended = {"checkpoint": {"number": 3}, "kept_checkpoint": {"number": 1}}
    last = run(**ended | {"kept_checkpoint": {"number": 3}})
    found, seconds = waited(run("RUNNING"), run("RUNNING"), run(**ended), last)
    assert (found, seconds) == (last, 3)


def test_a_run_that_died_is_waited_for_no_longer_than_some_beats():
    assert waited(run("RUNNING", seen=1), run("RUNNING", seen=2))[1] == pytest.approx(36, abs=1)
    assert waited(run(checkpoint={"number": 3}))[1] == pytest.approx(60, abs=1)
    assert waited(run("COMPLETED", checkpoint={"number": 3}))[1] == 0
    assert waited(None) == (None, 0)


def test_the_newest_checkpoint_is_stored_once_and_noted_in_its_run(store, checkpoint):
    runs, now = Runs(), [0.0]
    keeper = Keeper(checkpoint.parents[1], store, SimpleNamespace(runs=runs), print, lambda: now[0])
    keeper.look()
    keeper.look()
    ((query, change),) = runs.updates
    assert query == {"sacristy.journal.key": "news-1a"}
    assert change["sacristy.kept_checkpoint"] == noted(store, checkpoint)
    checkpoint.rename(checkpoint.with_name("000004-state"))
    keeper.look()  # too early
    assert len(runs.updates) == 1
    keeper.look(last=True)
    assert runs.updates[1][1]["sacristy.kept_checkpoint"]["number"] == 4


def test_a_run_without_a_number_is_noted_later(store, checkpoint):
    runs, now = Runs(known=False), [0.0]
    keeper = Keeper(checkpoint.parents[1], store, SimpleNamespace(runs=runs), print, lambda: now[0])
    keeper.look()
    runs.known, now[0] = True, 100.0
    keeper.look()
    keeper.look(last=True)
    assert len(runs.updates) == 2


def test_a_checkpoint_stays_in_its_folder(store, tmp_path):
    with pytest.raises(NoCheckpoint):
        fetch_checkpoint(store, {"name": "x", "files": [{"path": "../x", "digest": "", "size": 1}]}, tmp_path)
