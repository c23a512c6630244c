"""What a sender asks of the database, which stands here as what it was told."""

from types import SimpleNamespace

from sacristy.tracking import sending, shipper
from sacristy.tracking.journal import Journal
from sacristy.tracking.sending import Sender
from sacristy.tracking.shipper import Shipper
from sacristy.tracking.state import RunState

DOCUMENT = {"status": "RUNNING", "sacristy": {"model": "digits", "commit": "", "dirty": True}}


class Runs:
    """The collection of runs: its one run was taken for dead, or not."""

    def __init__(self, ours):
        self.ours, self.updates = ours, []

    def find_one_and_update(self, _query, change, _fields):
        self.updates.append(change)
        return {"_id": 7, "sacristy": self.ours}

    def update_one(self, _query, change):
        self.updates.append(change)


def sent(ours, tmp_path):
    """Return what the run's document is told with its second event."""
    runs, state = Runs(ours), RunState("digits-1")
    sender = Sender(SimpleNamespace(runs=runs, points=None, metrics=None), state, tmp_path, lambda: None)
    sender.run = 7
    state.apply([{"e": "start", "time": 1000, "document": DOCUMENT}])
    sender.send()
    runs.updates.clear()
    state.apply([{"e": "beat", "time": 2000}])
    sender.send()
    return runs.updates


def test_a_run_that_was_taken_for_dead_runs_again_as_soon_as_it_is_heard_of(tmp_path, monkeypatch):
    monkeypatch.setattr(sending, "is_training", lambda _: True)
    _, change = sent({"reaped": True}, tmp_path)
    assert change == {"$set": {"status": "RUNNING", "stop_time": None}, "$unset": {"sacristy.reaped": ""}}


def test_a_run_that_is_dead_or_was_never_taken_for_it_is_told_what_changed_and_no_more(tmp_path, monkeypatch):
    (dead,) = sent({"reaped": True}, tmp_path)
    monkeypatch.setattr(sending, "is_training", lambda _: True)
    (alive,) = sent({}, tmp_path)
    assert "status" not in dead["$set"] | alive["$set"]


class Told:
    """A sender that counts what it is told to send; the database has the run whole already."""

    run, count = 7, 0

    def send(self):
        self.count += 1

    def is_complete(self):
        return True


def test_a_training_that_tells_nothing_for_long_is_said_to_live(tmp_path, monkeypatch):
    journal = Journal.create(tmp_path, "digits", print)
    journal.event("start", time=1000, document=DOCUMENT)
    ship, told = Shipper(journal.folder, lambda: None), Told()
    looks = iter([False] * 9)
    monkeypatch.setattr(ship, "_sender", told)
    monkeypatch.setattr(ship, "_training_ended", lambda: ship.state.sent() or next(looks, True))
    monkeypatch.setattr(shipper, "SIGN_S", 0)
    ship.ship()
    assert told.count == 11  # the start, and each look after it


class Kept:
    """A collection that knows runs by numbers, and takes another."""

    def __init__(self, field, *numbers):
        self.field, self.numbers = field, list(numbers)

    def find_one(self, query, _fields, sort=None):
        if sort:
            assert (sort, query) == ([(self.field, -1)], {self.field: {"$type": "number"}})
            return {self.field: max(self.numbers)} if self.numbers else None
        return {"_id": self.numbers[-1]} if self.numbers[-1:] == [8] else None

    def insert_one(self, document):
        self.numbers.append(document["_id"])


def test_a_number_whose_points_are_still_there_is_not_given_again(tmp_path):
    database = {"runs": Kept("_id", 5), "points": Kept("run", 5, 7), "metrics": Kept("run_id")}
    state = RunState("digits-1")
    state.apply([{"e": "start", "time": 1000, "document": DOCUMENT}])
    sender = Sender(type("Database", (dict,), {"runs": database["runs"]})(database), state, tmp_path, lambda: None)
    assert sender._number() == 8
