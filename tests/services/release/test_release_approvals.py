"""The word of a second person before production."""

import json
import subprocess
import sys

import pytest

from sacristy.errors import ApprovalMissing, ApprovalWithoutReason, NoEvidence, OwnRequest
from sacristy.names import Stage
from sacristy.release import approvals, moves, promotion
from sacristy.settings import Promotion, Role

PRODUCTION, STAGING = Stage.PRODUCTION, Stage.STAGING


def promote(bench, image, user="ana", approvals=1, stage=PRODUCTION):
    return promotion.promote(bench.desk(user, approvals=approvals), image, stage, "better")


def test_production_waits_for_another_person(bench):
    image = bench.image()
    with pytest.raises(ApprovalMissing, match="needs 1 approvals by others than ana to go to production, and has 0"):
        promote(bench, image)
    assert bench.tag("production") is None


def test_the_promoters_own_approval_does_not_count(bench):
    image = bench.image()
    approvals.approve(bench.desk("ana"), image, PRODUCTION, "mine")
    with pytest.raises(ApprovalMissing):
        promote(bench, image)


def test_the_event_keeps_who_approved_and_why(bench):
    image = bench.image()
    approvals.approve(bench.desk("ben"), image, PRODUCTION, "asked it ten questions")
    ((given,),) = [promote(bench, image)["approvals"]]
    assert (given["by"], given["why"]) == ("ben", "asked it ten questions")


def test_one_person_is_one_approval(bench):
    image = bench.image()
    first = approvals.approve(bench.desk("ben"), image, PRODUCTION, "good")
    assert approvals.approve(bench.desk("ben"), image, PRODUCTION, "still good")["_id"] == first["_id"]
    with pytest.raises(ApprovalMissing, match="needs 2"):
        promote(bench, image, approvals=2)
    approvals.approve(bench.desk("cleo"), image, PRODUCTION, "good")
    assert len(promote(bench, image, approvals=2)["approvals"]) == 2


def test_an_approval_is_for_one_digest_and_one_stage(bench):
    image, other = bench.image(), bench.image()
    approvals.approve(bench.desk("ben"), other, PRODUCTION, "good")
    approvals.approve(bench.desk("ben"), image, STAGING, "good")
    with pytest.raises(ApprovalMissing):
        promote(bench, image)


def test_staging_needs_none(bench):
    assert promote(bench, bench.image(), stage=STAGING)["state"] == "done"


def test_a_promotion_uses_its_approvals_up(bench):
    first, second = bench.image(), bench.image()
    for image in (first, second):
        approvals.approve(bench.desk("ben"), image, PRODUCTION, "good")
        promote(bench, image)
    promotion.rollback(bench.desk(approvals=1), bench.model, PRODUCTION, "it was bad")
    with pytest.raises(ApprovalMissing):
        promote(bench, second)


def test_what_was_not_tested_cannot_be_approved(bench):
    with pytest.raises(NoEvidence):
        approvals.approve(bench.desk("ben"), bench.image(accepted=None), PRODUCTION, "looks nice")


def test_an_approval_says_why(bench):
    with pytest.raises(ApprovalWithoutReason):
        approvals.approve(bench.desk("ben"), bench.image(), PRODUCTION, " ")


def asked(bench, image, user="ana"):
    """Ask for production, as a promotion that lacks its approval does."""
    with pytest.raises(ApprovalMissing):
        promote(bench, image, user)


def pending(bench, **policy):
    return approvals.pending(bench.database, Promotion(**{"approvals": 1} | policy), bench.model)


def test_a_promotion_that_lacks_approvals_asks_for_them_once(bench):
    image = bench.image()
    for _ in range(2):
        asked(bench, image)
    (waiting,) = pending(bench)
    assert (waiting.version, waiting.stage, waiting.by, waiting.why) == (
        str(image.version),
        "production",
        "ana",
        "better",
    )
    assert (waiting.asked_by, waiting.given, waiting.lacking) == (("ana",), (), 1)
    assert [each["action"] for each in approvals.entries(bench.database, bench.model)] == ["asked"]


def test_who_asked_cannot_approve_and_another_can(bench):
    image = bench.image()
    asked(bench, image)
    with pytest.raises(OwnRequest, match="ana asked for"):
        approvals.approve(bench.desk("ana"), image, PRODUCTION, "mine")
    approvals.approve(bench.desk("ben"), image, PRODUCTION, "asked it ten questions")
    (waiting,) = pending(bench)
    assert ([each["by"] for each in waiting.given], waiting.lacking) == (["ben"], 0)
    assert [waiting.refuses(name) for name in ("ana", "ben", "cleo")] == ["asked for by you", "approved by you", ""]
    promote(bench, image)
    assert pending(bench) == []


def test_two_who_asked_may_agree_with_each_other(bench):
    image = bench.image()
    asked(bench, image, "ana")
    asked(bench, image, "ben")
    approvals.approve(bench.desk("ana"), image, PRODUCTION, "I looked too")
    (waiting,) = pending(bench)
    assert (waiting.by, waiting.asked_by, waiting.lacking) == ("ben", ("ben", "ana"), 0)
    promote(bench, image, "ben")


def test_a_request_is_no_approval(bench):
    image = bench.image()
    asked(bench, image, "ana")
    with pytest.raises(ApprovalMissing, match="has 0"):
        promote(bench, image, "ben")


def test_a_stage_that_moves_closes_what_was_asked(bench):
    image, other = bench.image(), bench.image()
    asked(bench, image)
    promote(bench, other, "cleo", approvals=0)
    assert pending(bench) == []
    asked(bench, image)
    assert [each.version for each in pending(bench)] == [str(image.version)]


def test_an_open_request_is_shown_however_many_newer_ones_were_closed(bench, monkeypatch):
    waits, moved = bench.image(), bench.image()
    asked(bench, waits)
    approvals._ask(bench.desk(), moved, Stage.STAGING, "soon")
    promote(bench, moved, stage=Stage.STAGING)
    monkeypatch.setattr(approvals, "MOST_OPEN", 1)
    assert [waiting.digest for waiting in pending(bench)] == [waits.digest]


def test_what_was_asked_for_a_stage_of_another_model_stays(bench):
    asked(bench, bench.image())
    assert approvals.pending(bench.database, Promotion(approvals=1), "other") == []
    assert len(pending(bench, approvals=2)) == 1
    assert pending(bench, approvals=2)[0].lacking == 2


def test_the_command_lists_what_waits(bench, mongod, project, tmp_path):
    image = bench.image()
    asked(bench, image)
    environment = mongod.environment(project, tmp_path / "home", Role.SERVICE)
    argv = [sys.executable, "-m", "sacristy.cli", "approvals", bench.model, "--json"]
    policy = {"SACRISTY_PROMOTION__APPROVALS": "1"}
    done = subprocess.run(argv, env=environment | policy, capture_output=True, text=True, check=True, timeout=120)
    (waiting,) = json.loads(done.stdout)
    assert (waiting["version"], waiting["by"], waiting["wanted"]) == (str(image.version), "ana", 1)


def test_who_only_looks_gets_the_newest_moves_and_no_more(bench):
    images = [bench.image() for _ in range(4)]
    for image in images:
        promote(bench, image, approvals=0)
    found = moves.newest(bench.database, bench.model, 3)
    assert [move["to"] for move in found] == [image.digest for image in reversed(images)][:3]
    assert moves.last(bench.database, bench.model, "production")["to"] == images[-1].digest
    assert moves.last(bench.database, bench.model, "staging") is None
