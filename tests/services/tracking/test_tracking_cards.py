"""Run cards follow what became of the run."""

import datetime

import pytest
from bson import ObjectId

from sacristy.settings import Role
from sacristy.tracking.card import FILE
from sacristy.tracking.card_upkeep import refresh_cards
from sacristy.tracking.runs import annotate

RUN = 77_001


@pytest.fixture
def run(mongod):
    """A run with a card, and its curve."""
    admin, file = mongod.database(Role.ADMIN), ObjectId()
    document = {"_id": RUN, "experiment": {"name": "digits"}, "status": "COMPLETED", "result": {"accuracy": 0.5}}
    admin.runs.insert_one(document | {"artifacts": [{"name": FILE, "file_id": file}], "sacristy": {"model": "digits"}})
    admin["fs.files"].insert_one({"_id": file, "filename": FILE, "length": 3})
    admin.metrics.insert_one({"run_id": RUN, "name": "loss", "steps": [1, 2, 3], "values": [3.0, 2.0, 1.0]})
    yield mongod
    for collection in ("runs", "metrics"):
        admin[collection].delete_many({"$or": [{"_id": RUN}, {"run_id": RUN}]})


def card_of(mongod):
    """Return the card's text, as Omniboard's reader of GridFS puts it together."""
    admin = mongod.database(Role.ADMIN)
    file = admin.runs.find_one({"_id": RUN})["artifacts"][0]["file_id"]
    content = b"".join(piece["data"] for piece in admin["fs.chunks"].find({"files_id": file}).sort("n", 1))
    assert admin["fs.files"].find_one({"_id": file})["length"] == len(content)
    return content.decode()


def test_a_card_tells_image_verdict_and_stage_once_they_are_known(run):
    service, training = run.database(Role.SERVICE), run.database(Role.TRAINING)
    at = datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC)
    annotate(service, RUN, "acceptance", {"version": "77001", "digest": "sha256:ab", "passed": True, "reason": ""})
    annotate(service, RUN, "stages.production", {"at": at, "by": "<ana>"})
    assert refresh_cards(training, "http://gateway") == [RUN]
    page = card_of(run)
    for said in ("digits:77001 · sha256:ab", "passed", "2026-01-02 03:04 by &lt;ana&gt;", "sacristy reproduce 77001"):
        assert said in page
    assert '<a href="http://gateway/models/digits">' in page
    assert "<polyline" in page


def test_a_card_is_written_once_for_each_change(run):
    annotate(run.database(Role.SERVICE), RUN, "acceptance", {"passed": False, "reason": "too slow"})
    training = run.database(Role.TRAINING)
    assert refresh_cards(training) == [RUN]
    assert refresh_cards(training) == []
    assert "not passed: too slow" in card_of(run)
