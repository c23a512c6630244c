"""What is newest, and whose lease ran out, is decided by the database, not by clocks of machines that differ."""

import datetime
import threading

import pytest

from sacristy.errors import ApprovalMissing, NotAccepted, ReleaseLocked
from sacristy.names import Stage
from sacristy.release import approvals, evidence, moves, promotion, verdict
from sacristy.release.lock import LEASE_S, release_lock
from sacristy.release.order import next_place

STAGING, PRODUCTION = Stage.STAGING, Stage.PRODUCTION
HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def clock(monkeypatch):
    """Return a function that sets this machine's clock so far beside the true time."""

    def set_to(skew):
        class Clock(datetime.datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime.datetime.now(tz) + skew

        monkeypatch.setattr(verdict, "datetime", Clock)

    return set_to


@pytest.mark.parametrize(("first", "second"), [(HOUR, -HOUR), (-HOUR, HOUR)])
def test_the_newest_verdict_is_the_one_that_came_last(bench, clock, first, second):
    clock(first)
    image = bench.image(accepted=True)
    clock(second)
    bench.judge(image, passed=False)
    with pytest.raises(NotAccepted):
        promotion.promote(bench.desk(), image, STAGING, "")
    clock(first)
    bench.judge(image, passed=True)
    assert evidence.latest(bench.database, image.digest)["passed"]
    promotion.promote(bench.desk(), image, STAGING, "")


def test_moves_of_machines_whose_clocks_differ_are_replayed_as_they_happened(bench, clock):
    images = [bench.image() for _ in range(3)]
    for image, skew in zip(images, (2 * HOUR, -2 * HOUR, HOUR), strict=True):
        clock(skew)
        promotion.promote(bench.desk(), image, PRODUCTION, "next")
    assert moves.history(moves.events(bench.database, bench.model)) == [image.digest for image in images]
    clock(-3 * HOUR)
    promotion.rollback(bench.desk(), bench.model, PRODUCTION, "no")
    assert bench.tag("production") == images[1].digest == moves.in_force(bench.database, bench.model, PRODUCTION)
    promotion.promote(bench.desk(), images[2], PRODUCTION, "after all")


def test_an_approval_is_used_up_by_the_promotion_after_it_whatever_the_clocks_say(bench, clock):
    image, other = bench.image(), bench.image()
    clock(HOUR)
    approvals.approve(bench.desk("ben"), image, PRODUCTION, "good")
    clock(-HOUR)
    promotion.promote(bench.desk(approvals=1), image, PRODUCTION, "approved")
    promotion.promote(bench.desk(), other, PRODUCTION, "next")
    with pytest.raises(ApprovalMissing):
        promotion.promote(bench.desk(approvals=1), image, PRODUCTION, "again")


def test_records_from_before_there_was_a_sequence_come_first_in_the_order_of_their_time(bench):
    image = bench.image()
    old = [{"at": datetime.datetime(2026, 1, day), "passed": day == 2, "checks": []} for day in (1, 2)]
    late = {"at": datetime.datetime(2200, 1, 1), "passed": True, "checks": []}
    bench.admin.evidence.delete_many({"digest": image.digest})
    bench.admin.evidence.insert_many([each | {"digest": image.digest} for each in (*old, late)])
    bench.judge(image, passed=False)
    assert not evidence.latest(bench.database, image.digest)["passed"]


def test_places_are_never_given_twice_and_their_times_never_go_back(bench):
    drawn = []
    threads = [threading.Thread(target=lambda: drawn.append(next_place(bench.database))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ordered = sorted(drawn, key=lambda place: place.seq)
    assert [place.seq for place in ordered] == list(range(ordered[0].seq, ordered[0].seq + 16))
    assert [place.at for place in ordered] == sorted(place.at for place in drawn)


@pytest.mark.parametrize("skew", [2 * HOUR, -2 * HOUR])
def test_a_lease_of_another_machine_is_neither_cut_nor_drawn_out_by_ones_own_clock(bench, clock, skew):
    clock(skew)
    with release_lock(bench.database, bench.model, "promotion", "ben"):
        bench.admin.locks.update_one({"_id": bench.model}, {"$set": {"host": "another"}})
        with pytest.raises(ReleaseLocked, match="under way since 0 s"):
            promotion.promote(bench.desk(), bench.image(), STAGING, "")
    ran_out = [{"$set": {"renewed": {"$subtract": ["$$NOW", (LEASE_S + 1) * 1000]}}}]
    with release_lock(bench.database, bench.model, "promotion", "ben"):
        bench.admin.locks.update_one({"_id": bench.model}, [{"$set": {"host": "another"}}, *ran_out])
        promotion.promote(bench.desk(), bench.image(), STAGING, "")


def test_of_many_who_take_over_a_lease_that_ran_out_one_gets_it(bench):
    dead = {"_id": bench.model, "token": "x", "host": "another", "pid": 1, "started": 0.0, "action": "a", "owner": "b"}
    long_ago = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    bench.admin.locks.insert_one(dead | {"at": long_ago, "renewed": long_ago})
    told, held, barrier, over = [], [], threading.Barrier(8), threading.Event()

    def take():
        barrier.wait()
        try:
            with release_lock(bench.database, bench.model, "promotion", "me"):
                held.append(1)
                over.wait(20)
        except ReleaseLocked as error:
            told.append(error)
        if len(told) == 7:
            over.set()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(held), len(told)) == (1, 7)
