"""How often the watcher keeps its place in the change stream."""

from contextlib import contextmanager
from itertools import count
from types import SimpleNamespace

from sacristy.automation.watcher import TOKENS, Watcher


class Stream:
    """A change stream, whose place moves with every look; the third brings a tagged run."""

    def __init__(self):
        self.looks, self.resume_token = count(1), None

    def try_next(self):
        look = next(self.looks)
        self.resume_token = {"_data": look}
        return {"documentKey": {"_id": 42}} if look == 3 else None


class Places:
    """Where places are kept: all that were."""

    def __init__(self):
        self.kept = []

    def find_one(self, _):
        return {"place": {"_data": 0}}

    def update_one(self, _query, change, upsert):
        self.kept.append(change["$set"]["place"]["_data"])


def test_the_place_is_kept_after_a_tagged_run_and_at_the_end_but_not_at_each_look():
    @contextmanager
    def watched(*_, **__):
        yield Stream()

    places, looks = Places(), iter([False] * 50)
    database = type("Database", (dict,), {"runs": SimpleNamespace(watch=watched)})({TOKENS: places})
    watcher = Watcher(None, database, None, None)
    assert list(watcher._tagged(lambda: next(looks, True))) == [42]
    assert places.kept == [3, 50]
