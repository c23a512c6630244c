"""Which versions stay, which go, and what a rollback makes of one that went."""

import pytest

from sacristy.errors import ImageNotFound, ReleaseLocked
from sacristy.images import signature
from sacristy.names import Stage
from sacristy.release import promotion, retention
from sacristy.release.lock import release_lock

PRODUCTION, STAGING = Stage.PRODUCTION, Stage.STAGING


@pytest.fixture
def promoted(bench):
    """Six images that were in production in turn, and one that waits."""
    images = [bench.image() for _ in range(6)]
    for image in images:
        promotion.promote(bench.desk(), image, PRODUCTION, "next")
    return [*images, bench.image()]


def going(bench, running=(), keep=3):
    choices = retention.choose(bench.desk(keep=keep), bench.model, running)
    return [choice.digest for choice in reversed(choices) if choice.goes]


def test_the_last_versions_of_a_stage_stay_and_what_waits(bench, promoted):
    assert going(bench) == [image.digest for image in promoted[:3]]


def test_what_a_stage_points_at_stays_however_old(bench, promoted):
    promotion.promote(bench.desk(), promoted[0], STAGING, "")
    assert going(bench, keep=1) == [image.digest for image in promoted[1:5]]


def test_what_answers_now_stays(bench, promoted):
    assert promoted[1].digest not in going(bench, running=[promoted[1].digest])


def test_before_the_first_promotion_everything_stays(bench):
    for _ in range(4):
        bench.image()
    assert going(bench, keep=1) == []


def test_versions_go_with_their_signatures_and_blobs(bench, promoted):
    desk = bench.desk(keep=3)
    report = retention.prune(desk, bench.model, going(bench), grace_s=-1)
    assert report.versions == [image.version for image in reversed(promoted[:3])]
    assert report.garbage.bytes > 0
    left = bench.registry.tags(bench.model)
    assert len(bench.registry.versions(bench.model)) == 4
    assert signature.signature_tag(promoted[0].digest) not in left
    for image in promoted[3:6]:
        signature.verify(bench.registry, bench.model, image.digest, bench.keys)
    assert going(bench) == []


def test_only_what_was_agreed_to_goes(bench, promoted):
    report = retention.prune(bench.desk(keep=3), bench.model, [promoted[0].digest, promoted[5].digest])
    assert report.versions == [promoted[0].version]


def test_nothing_goes_while_somebody_moves_a_stage(bench, promoted):
    with release_lock(bench.database, bench.model, "promotion", "ben"), pytest.raises(ReleaseLocked):
        retention.prune(bench.desk(keep=1), bench.model, going(bench, keep=1))


def test_a_rollback_goes_back_to_what_was_kept_and_refuses_what_went(bench, promoted):
    retention.prune(bench.desk(keep=2), bench.model, going(bench, keep=2), grace_s=-1)
    promotion.rollback(bench.desk(), bench.model, PRODUCTION, "no")
    assert bench.tag("production") == promoted[4].digest
    with pytest.raises(ImageNotFound, match="there is no image"):
        promotion.rollback(bench.desk(), bench.model, PRODUCTION, "no")
    assert bench.tag("production") == promoted[4].digest
