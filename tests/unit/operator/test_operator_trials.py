"""Which canaries are due, and that the operator promotes or withdraws them once, through all else that goes on."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from sacristy.names import Stage
from sacristy.operator import trials
from sacristy.operator.decide import Do, Task
from sacristy.operator.judging import Figures, Rate
from sacristy.operator.trials import Trials
from sacristy.targets.routes import Route, Share, ShareKind, read_routes, set_route, set_share

KEY = ("lamp", Stage.PRODUCTION)
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
OWN = Route("http://own", "1", "sha256:" + "1" * 64, 1, "process", "own")
OTHER = Route("http://other", "2", "sha256:" + "2" * 64, 2, "process", "other")
GOOD, BAD = Rate(0.0, 0.0, 0.01, 500), Rate(0.5, 0.45, 0.55, 500)
TOML = 'title = "Lamp"\n[gates]\nmetric = "accuracy"\nminimum = 0.5\n[canary]\nwindow_s = {}\n'


class Hall:
    """A project with a canary, and trials that note what they do."""

    def __init__(self, folder, monkeypatch):
        self.done, self.asked, self.figures = [], [], Figures(500, GOOD, GOOD, GOOD)
        self.now, self.wishes = BEGAN, {KEY: OWN.digest}
        self.toml = folder / "models" / "lamp" / "model.toml"
        self.toml.parent.mkdir(parents=True)
        self.window(60)
        self.routes_file = folder / "routes.json"
        set_route(self.routes_file, *KEY, OWN)
        self.share(ShareKind.CANARY)
        settings = SimpleNamespace(project=folder, routes_file=self.routes_file)
        self.trials = Trials({"process": SimpleNamespace(settings=settings)}, self.measure, lambda: self.now)
        for name in ("promote", "withdraw"):
            monkeypatch.setattr(trials, name, lambda yard, *words, name=name: self.done.append((name, *words)) or ["2"])

    def window(self, seconds):
        self.toml.write_text(TOML.format(seconds))

    def share(self, kind, since=BEGAN):
        set_share(self.routes_file, *KEY, kind, Share(OTHER, 10.0, since.isoformat() if since else ""))

    def measure(self, *asked):
        self.asked.append(asked)
        return self.figures

    def due(self, age_s):
        self.now = BEGAN + timedelta(seconds=age_s)
        return self.trials.due(read_routes(self.routes_file), self.wishes)


@pytest.fixture
def hall(tmp_path, monkeypatch):
    return Hall(tmp_path, monkeypatch)


def test_a_good_canary_is_due_when_its_window_is_over(hall):
    assert hall.due(59) == []
    (task,) = hall.due(61)
    assert (task.do, task.key, task.digest) == (Do.PROMOTE, KEY, OTHER.digest)
    key, own, canary, slow_ms = hall.asked[-1]
    assert (key, own.alone, canary.route, slow_ms) == (KEY, OWN, OTHER, 1000.0)


def test_a_bad_canary_is_due_at_once(hall):
    hall.figures = Figures(500, GOOD, GOOD, BAD)
    (task,) = hall.due(5)
    assert (task.do, task.why.partition(" predictions")[0]) == (Do.WITHDRAW, "50 % of 500")


@pytest.mark.parametrize("change", ["no window", "no canary", "mirror", "an older table", "a broken model.toml"])
def test_nothing_else_is_anybodys_business_but_peoples(hall, change):
    if change == "no window":
        hall.window(0)
    elif change == "a broken model.toml":
        hall.toml.write_text("title =")
    else:
        set_share(hall.routes_file, *KEY, ShareKind.CANARY, None)
    if change == "mirror":
        hall.share(ShareKind.MIRROR)
    if change == "an older table":
        hall.share(ShareKind.CANARY, since=None)
    assert hall.due(9999) == []
    assert hall.asked == []


def test_one_that_its_stage_points_at_already_is_promoted_no_second_time(hall):
    hall.wishes[KEY] = OTHER.digest
    assert hall.due(61) == []


@pytest.mark.parametrize("do", [Do.PROMOTE, Do.WITHDRAW])
def test_what_is_due_is_done_once(hall, do):
    task = Task(do, *KEY, OTHER.digest, "it sang", BEGAN.isoformat())
    assert hall.trials.perform(task)
    assert [(each[0], each[-1]) for each in hall.done] == [(str(do), "it sang")]
    set_share(hall.routes_file, *KEY, ShareKind.CANARY, None)
    assert not hall.trials.perform(task)
    assert len(hall.done) == 1


def test_what_was_judged_before_a_canary_began_anew_is_not_done(hall):
    (task,) = hall.due(61)
    hall.share(ShareKind.CANARY, since=BEGAN + timedelta(seconds=61))
    assert not hall.trials.perform(task)
    assert hall.done == []
