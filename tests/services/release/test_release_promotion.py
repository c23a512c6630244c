"""Promotion and rollback against a real MongoDB and a real OCI layout."""

import signal
import subprocess
import sys
import threading

import pytest

from sacristy.errors import (
    NoEvidence,
    NotAccepted,
    NothingToRollBack,
    ReleaseLocked,
    SacristyError,
    StageEmpty,
    StageMovedByHand,
    Unsigned,
    WhyMissing,
)
from sacristy.images.signature import verify
from sacristy.names import Stage
from sacristy.release import moves, promotion
from sacristy.release.lock import release_lock
from sacristy.settings import Role

PRODUCTION, STAGING = Stage.PRODUCTION, Stage.STAGING


def test_a_promotion_moves_the_tag_and_records_who_what_and_why(bench):
    image = bench.image()
    event = promotion.promote(bench.desk("ana"), image, PRODUCTION, "better on Mondays")
    assert bench.tag("production") == image.digest
    assert (event["by"], event["why"], event["from"], event["state"]) == ("ana", "better on Mondays", None, "done")
    assert event["evidence"]["figures"] == {"accuracy": 0.5}
    run = bench.admin.runs.find_one({"_id": image.run})
    assert run["sacristy"]["stages"]["production"]["digest"] == image.digest


def test_a_run_knows_which_stages_it_has_and_until_when_it_had_them(bench):
    first, second = bench.image(), bench.image()
    for image, stage in ((first, STAGING), (first, PRODUCTION), (second, PRODUCTION)):
        promotion.promote(bench.desk(), image, stage, "next")

    def ours(image):
        return bench.admin.runs.find_one({"_id": image.run})["sacristy"]

    assert (ours(first)["stage"], ours(second)["stage"]) == (["staging"], ["production"])
    assert "until" not in ours(first)["stages"]["staging"]
    assert ours(first)["stages"]["production"]["until"] == ours(second)["stages"]["production"]["at"]
    promotion.rollback(bench.desk(), bench.model, PRODUCTION, "no")
    assert (sorted(ours(first)["stage"]), ours(second)["stage"]) == (["production", "staging"], [])
    assert "until" not in ours(first)["stages"]["production"]


def test_without_an_acceptance_test_nothing_moves(bench):
    with pytest.raises(NoEvidence, match="has no acceptance test"):
        promotion.promote(bench.desk(), bench.image(accepted=None), STAGING, "")
    assert bench.tag("staging") is None


def test_with_a_failed_one_nothing_moves_and_the_reason_is_told(bench):
    with pytest.raises(NotAccepted, match=r"accuracy 0\.5 is too low"):
        promotion.promote(bench.desk(), bench.image(accepted=False), STAGING, "")
    assert bench.tag("staging") is None


def test_the_newest_verdict_counts(bench):
    image = bench.image(accepted=True)
    bench.judge(image, passed=False)
    with pytest.raises(NotAccepted):
        promotion.promote(bench.desk(), image, STAGING, "")


@pytest.mark.parametrize("why", ["", "  "])
def test_production_needs_a_reason(bench, why):
    with pytest.raises(WhyMissing):
        promotion.promote(bench.desk(), bench.image(), PRODUCTION, why)
    assert moves.events(bench.database, bench.model) == []


def test_rollback_goes_back_step_by_step_and_then_says_so(bench):
    first, second, third = (bench.image() for _ in range(3))
    for image in (first, second, third):
        promotion.promote(bench.desk(), image, PRODUCTION, "next")
    for expected in (second, first):
        promotion.rollback(bench.desk(), bench.model, PRODUCTION, "no")
        assert bench.tag("production") == expected.digest
    with pytest.raises(NothingToRollBack):
        promotion.rollback(bench.desk(), bench.model, PRODUCTION, "no")


def test_rollback_of_an_empty_stage_is_told(bench):
    with pytest.raises(StageEmpty):
        promotion.rollback(bench.desk(), bench.model, PRODUCTION, "no")


def test_rollback_to_an_image_that_is_gone_touches_nothing(bench):
    first, second = bench.image(), bench.image()
    for image in (first, second):
        promotion.promote(bench.desk(), image, PRODUCTION, "next")
    bench.registry.delete_manifest(bench.model, first.digest)
    with pytest.raises(SacristyError):
        promotion.rollback(bench.desk(), bench.model, PRODUCTION, "no")
    assert bench.tag("production") == second.digest
    assert len(moves.events(bench.database, bench.model)) == 2


def test_a_tag_moved_by_hand_is_refused_or_adopted(bench):
    first, second, third = (bench.image() for _ in range(3))
    promotion.promote(bench.desk(), first, PRODUCTION, "one")
    bench.registry.tag(bench.model, "production", second.digest)
    with pytest.raises(StageMovedByHand):
        promotion.promote(bench.desk(), third, PRODUCTION, "three")
    assert bench.tag("production") == second.digest
    promotion.promote(bench.desk(), third, PRODUCTION, "three", adopt=True)
    moved = moves.events(bench.database, bench.model)
    assert [move["action"] for move in moved] == ["promoted", "adopted", "promoted"]


@pytest.mark.parametrize(("accepted", "told"), [(None, NoEvidence), (False, NotAccepted)])
def test_rollback_to_what_was_only_moved_there_by_hand_touches_nothing(bench, accepted, told):
    first, by_hand, third = bench.image(), bench.image(accepted), bench.image()
    promotion.promote(bench.desk(), first, PRODUCTION, "one")
    bench.registry.tag(bench.model, "production", by_hand.digest)
    promotion.promote(bench.desk(), third, PRODUCTION, "three", adopt=True)
    with pytest.raises(told):
        promotion.rollback(bench.desk(), bench.model, PRODUCTION, "no")
    assert bench.tag("production") == third.digest
    assert "rolled_back" not in [move["action"] for move in moves.events(bench.database, bench.model)]
    with pytest.raises(Unsigned):
        verify(bench.registry, bench.model, by_hand.digest, bench.keys)


def test_rollback_goes_to_what_passed_once_whatever_a_later_test_said(bench):
    first, second = bench.image(), bench.image()
    for image in (first, second):
        promotion.promote(bench.desk(), image, PRODUCTION, "next")
    bench.judge(first, passed=False)
    promotion.rollback(bench.desk(), bench.model, PRODUCTION, "no")
    assert bench.tag("production") == first.digest


def test_of_many_at_once_one_wins_each_time_and_the_others_are_told(bench):
    images = [bench.image() for _ in range(6)]
    told = []

    def go(image):
        try:
            promotion.promote(bench.desk(), image, PRODUCTION, "me")
        except ReleaseLocked as error:
            told.append(error)

    threads = [threading.Thread(target=go, args=[image]) for image in images]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    moved = moves.events(bench.database, bench.model)
    assert len(moved) + len(told) == 6
    assert len(moved) >= 1
    assert moves.history(moved)[-1] == bench.tag("production")
    assert [move["from"] for move in moved] == [None, *(move["to"] for move in moved[:-1])]


def test_a_held_lock_names_its_owner(bench):
    with (
        release_lock(bench.database, bench.model, "promotion to staging", "ben"),
        pytest.raises(ReleaseLocked, match=r"promotion to staging of .* by ben \(process"),
    ):
        promotion.promote(bench.desk(), bench.image(), STAGING, "")


HOLD_AND_DIE = """
import os, signal, sys
from sacristy.release.drift import stage_faults
from sacristy.release.lock import release_lock
from sacristy.settings import Role
from sacristy.tracking.database import open_client
url, model = sys.argv[1:]
with release_lock(open_client(url).get_default_database(), model, "promotion", "ghost"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_lock_of_a_killed_process_is_taken_over(bench, mongod):
    argv = [sys.executable, "-c", HOLD_AND_DIE, mongod.url(Role.SERVICE), bench.model]
    assert subprocess.run(argv, check=False).returncode == -signal.SIGKILL
    assert bench.database.locks.count_documents({"_id": bench.model}) == 1
    promotion.promote(bench.desk(), bench.image(), STAGING, "")
    assert bench.database.locks.count_documents({"_id": bench.model}) == 0
