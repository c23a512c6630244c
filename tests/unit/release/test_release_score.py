"""The score beside that of the version in use: only a version's own fault lets another pass without the comparison."""

from pathlib import Path

import pytest

from sacristy.errors import BadAnswer, ClusterAway, ImageNotFound, InstanceCrashed, PodNotStarted
from sacristy.model_file import Gates
from sacristy.names import Version
from sacristy.release import acceptance
from sacristy.release.acceptance import Trial, measure_score
from sacristy.release.examples import Examples
from sacristy.targets.target import Image, Instance

OURS, THEIRS = (Image("news", Version(run), run, f"sha256:{run:064d}") for run in (2, 1))


@pytest.fixture
def scored(monkeypatch):
    """Return a function that measures a score of 0.95 where the version in use has this one, or raises it."""

    def measure(theirs):
        def score_of_rival(_, image):
            assert image == THEIRS
            if isinstance(theirs, Exception):
                raise theirs
            return theirs

        monkeypatch.setattr(acceptance, "_score", lambda *_: 0.95)
        monkeypatch.setattr(acceptance, "_score_of_rival", score_of_rival)
        gates = Gates(metric="accuracy", minimum=0.9, margin=0.01)
        trial = Trial(OURS, None, gates, Examples([], []), Path(), rival=THEIRS)
        trial.instance = Instance("news-trial", OURS, "http://127.0.0.1:1", "process")
        return measure_score(trial)

    return measure


@pytest.mark.parametrize(("theirs", "passed"), [(0.90, True), (0.96, True), (0.97, False)])
def test_it_is_no_worse_than_the_version_in_use_by_more_than_the_margin(scored, theirs, passed):
    assert scored(theirs).passed is passed


@pytest.mark.parametrize(
    "fault",
    [
        InstanceCrashed(image="news:1", cause="out of oil"),
        BadAnswer(reason="status 500"),
        ImageNotFound(reference="news:1", location="there", repository="news"),
    ],
)
def test_a_version_that_does_not_run_holds_up_no_other_one(scored, fault):
    found = scored(fault)
    assert found.passed
    assert "not compared" in found.limit


@pytest.mark.parametrize(
    "fault",
    [ClusterAway(server="there", reason="no route"), PodNotStarted(image="news:1", reason="no room", mend="wait")],
)
def test_where_the_other_could_not_be_started_there_is_no_verdict(scored, fault):
    with pytest.raises(type(fault)):
        scored(fault)
