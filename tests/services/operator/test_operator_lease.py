"""Of several operators one acts: by the database's clock, through crashes, and without two at any time."""

import threading

import pytest

from sacristy.operator.lease import COLLECTION, NAME, Lease
from sacristy.settings import Role
from sacristy.tracking.database import open_client


@pytest.fixture
def database(mongod):
    found = mongod.database(Role.SERVICE)
    found[COLLECTION].delete_many({"_id": NAME})
    return found


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_one_holds_it_and_renews_it_and_another_gets_it_when_it_is_given_back(database):
    one, two = Lease(database, "one"), Lease(database, "two")
    assert (one.hold(), two.hold(), one.hold()) == (True, False, True)
    one.release()
    assert (two.hold(), one.hold()) == (True, False)


def test_one_that_was_killed_is_followed_when_its_time_is_over(database):
    assert Lease(database, "killed", length_s=0.3).hold()
    follower = Lease(database, "follower")
    assert not follower.hold()
    waited = threading.Event()
    assert any(follower.hold() or waited.wait(0.05) for _ in range(40))


def test_ours_is_over_by_our_own_clock_even_if_nobody_tells_us(database):
    clock = Clock()
    lease = Lease(database, "one", length_s=15, clock=clock)
    assert lease.hold()
    clock.now = 15.0
    assert not lease.held


def test_of_many_that_begin_at_once_one_gets_it(database):
    leases = [Lease(database, f"operator {number}") for number in range(12)]
    won = []
    threads = [threading.Thread(target=lambda lease=lease: won.append(lease.hold())) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won.count(True) == 1


def test_while_the_database_is_away_it_is_ours_until_its_time_is_over(killable_mongod):
    clock = Clock()
    with open_client(killable_mongod.url(Role.SERVICE), 300) as client:
        lease = Lease(client.get_default_database(), "one", clock=clock)
        assert lease.hold()
        killable_mongod.kill()
        clock.now = 10.0
        assert lease.hold()
        clock.now = 15.0
        assert not lease.hold()
