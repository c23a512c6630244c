"""How `train --on kubernetes` ends: what becomes of its Job, and what an exit code means."""

from types import SimpleNamespace

import pytest

from sacristy.cli import cluster_training, trained, training
from sacristy.cli.main import app
from sacristy.errors import ClusterAway, JobEnded, NoCheckpoint, RunLostWithPod, RunOfAnotherModel, TrainingFailed
from sacristy.tracking.runs import record

RUN = record({"_id": 7, "experiment": {"name": "news"}, "status": "COMPLETED", "sacristy": {}})
BENCH = SimpleNamespace(settings=SimpleNamespace(cluster=None, registry_login=("", "")), database=None)


class Followed:
    """Stands where the follower is: gives a code or raises."""

    def __init__(self, outcome):
        self.outcome, self.seen_out = outcome, False

    def __call__(self, *_):
        return self

    def follow(self):
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    def until_gone(self):
        self.seen_out = True


@pytest.fixture
def train(monkeypatch):
    """Return a function that trains to an outcome; what it raises is raised. Its `ended` counts the Jobs taken away."""

    def train(outcome, at_start=None):
        train.follower = Followed(outcome)
        monkeypatch.setattr(cluster_training, "Follower", train.follower)
        monkeypatch.setattr(cluster_training.jobs, "start", lambda *_: at_start and raised(at_start))
        return cluster_training.train_on_cluster(BENCH, None, [], None, quiet=True)

    def raised(error):
        raise error

    train.ended = []
    job = SimpleNamespace(name="train-news-1a", namespace="sacristy-trials", model="news", token="t")
    monkeypatch.setattr(cluster_training, "prepared", lambda *_, **__: job)
    monkeypatch.setattr(trained, "find_by_token", lambda *_: RUN)
    monkeypatch.setattr(cluster_training.jobs, "end", lambda *_: train.ended.append(1))
    return train


def test_a_training_that_went_well_gives_its_run_and_leaves_no_job(train):
    assert train(0) is RUN
    assert train.ended == [1]


@pytest.mark.parametrize(("code", "kind", "ours"), [(7, TrainingFailed, 7), (75, RunLostWithPod, 75)])
def test_the_exit_code_is_kept(train, code, kind, ours):
    with pytest.raises(kind) as error:
        train(code)
    assert error.value.exit_code == ours
    assert train.ended == [1]


def test_ctrl_c_takes_the_job_away_and_sees_it_out_also_while_it_is_made(train):
    with pytest.raises(KeyboardInterrupt):
        train(KeyboardInterrupt())
    assert (train.ended, train.follower.seen_out) == ([1], True)
    with pytest.raises(KeyboardInterrupt):
        train(0, at_start=KeyboardInterrupt())
    assert train.ended == [1, 1]


def test_a_job_goes_on_when_the_cluster_is_lost_from_sight(train):
    with pytest.raises(ClusterAway):
        train(ClusterAway(server="https://api", reason="no route"))
    assert train.ended == []
    with pytest.raises(JobEnded):
        train(JobEnded(job="train-news-1a", reason="it was deleted"))


def test_only_what_the_store_has_can_go_on_in_a_pod():
    with pytest.raises(NoCheckpoint):
        cluster_training.require_kept(RUN)


def test_a_run_of_another_model_is_not_gone_on_from(monkeypatch):
    monkeypatch.setattr(trained, "find_run", lambda *_: RUN)
    with pytest.raises(RunOfAnotherModel):
        trained.parent_of(BENCH, "digits", 7)
    assert trained.parent_of(BENCH, "news", 7) is RUN


@pytest.mark.parametrize(
    ("setting", "words", "where"),
    [
        ("here", [], "here"),
        ("kubernetes", [], "cluster"),
        ("kubernetes", ["--on", "here"], "here"),
        ("here", ["--on", "kubernetes"], "cluster"),
    ],
)
def test_the_setting_says_where_unless_the_command_does(monkeypatch, setting, words, where):
    asked = []
    bench = SimpleNamespace(settings=SimpleNamespace(train_on=setting), model=lambda name: name)
    monkeypatch.setattr(training, "Workbench", lambda: bench)
    monkeypatch.setattr(training, "train_on_cluster", lambda *_, **__: asked.append("cluster") or RUN)
    monkeypatch.setattr(training, "run_training", lambda *_, **__: asked.append("here") or RUN)
    app(["train", "news", *words, "--json"], standalone_mode=False)
    assert asked == [where]
