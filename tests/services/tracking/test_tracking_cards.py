"""Run cards follow what became of the run."""

import datetime
import html
import re

import gridfs
import pytest
from bson import ObjectId

from sacristy.settings import Role
from sacristy.tracking.card import FILE, MOST_CURVES
from sacristy.tracking.card_upkeep import refresh_cards
from sacristy.tracking.runs import annotate
from sacristy.tracking.sending import PIECE_BYTES

RUN = 77_001
DIGEST = "sha256:" + "cd" * 32


@pytest.fixture
def run(mongod):
    """A run with a card, and its curve."""
    admin, file = mongod.database(Role.ADMIN), ObjectId()
    document = {"_id": RUN, "experiment": {"name": "digits"}, "status": "COMPLETED", "result": {"accuracy": 0.5}}
    ours = {
        "model": "digits",
        "weights": [{"name": "model 1.safetensors", "digest": DIGEST, "size": 3, "role": "weights"}],
    }
    document["info"] = {"metrics": [{"name": "loss", "id": str(ObjectId())}]}
    admin.runs.insert_one(document | {"artifacts": [{"name": FILE, "file_id": file}], "sacristy": ours})
    admin["fs.files"].insert_one({"_id": file, "filename": FILE, "length": 3, "chunkSize": PIECE_BYTES})
    admin.metrics.insert_one({"run_id": RUN, "name": "loss", "steps": [1, 2, 3], "values": [3.0, 2.0, 1.0]})
    yield mongod
    for collection in ("runs", "metrics"):
        admin[collection].delete_many({"$or": [{"_id": RUN}, {"run_id": RUN}]})


def links(page):
    """Return the addresses that a card leads to."""
    return [html.unescape(address) for address in re.findall('href="([^"]+)"', page)]


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
    assert "sacristy release" not in page
    assert "<polyline" in page
    assert links(page) == [
        "http://gateway/images/digits/sha256:ab",
        "http://gateway/models/digits?stage=production",
        f"http://gateway/weights/{DIGEST}?name=model+1.safetensors",
    ]


def test_before_its_release_a_card_leads_to_the_weights_and_tells_how_to_release_and_repeat(run):
    annotate(run.database(Role.SERVICE), RUN, "seen_by", "somebody")
    assert refresh_cards(run.database(Role.TRAINING), "https://gateway") == [RUN]
    page = card_of(run)
    assert links(page) == [f"https://gateway/weights/{DIGEST}?name=model+1.safetensors"]
    for command in ("show 77001 --metrics", "reproduce 77001", "release digits --run 77001"):
        assert f"<code>sacristy {command}</code>" in page


def test_a_card_says_since_when_and_until_when_a_stage_had_its_run(run):
    until = datetime.datetime(2026, 2, 3, 4, 5, tzinfo=datetime.UTC)
    moved = {"at": until, "by": "ana", "until": until}
    annotate(run.database(Role.SERVICE), RUN, "stages.production", moved)
    refresh_cards(run.database(Role.TRAINING), "http://gateway")
    assert "2026-02-03 04:05 by ana, until 2026-02-03 04:05" in card_of(run)
    assert not any("/models/" in link for link in links(card_of(run)))


def test_without_a_gateway_nothing_pretends_to_be_a_link(run):
    annotate(run.database(Role.SERVICE), RUN, "seen_by", "somebody")
    refresh_cards(run.database(Role.TRAINING))
    assert links(card_of(run)) == []
    assert DIGEST in card_of(run)


def test_a_card_is_written_once_for_each_change(run):
    annotate(run.database(Role.SERVICE), RUN, "acceptance", {"passed": False, "reason": "too slow"})
    training = run.database(Role.TRAINING)
    assert refresh_cards(training) == [RUN]
    assert refresh_cards(training) == []
    assert "not passed: too slow" in card_of(run)


def test_a_card_that_gets_shorter_can_still_be_read(run):
    admin = run.database(Role.ADMIN)
    annotate(run.database(Role.SERVICE), RUN, "acceptance", {"passed": False, "reason": "slow " * 100_000})
    refresh_cards(run.database(Role.TRAINING))
    annotate(run.database(Role.SERVICE), RUN, "acceptance", {"passed": False, "reason": "too slow"})
    refresh_cards(run.database(Role.TRAINING))
    (artifact,) = admin.runs.find_one({"_id": RUN})["artifacts"]
    assert b"too slow" in gridfs.GridFS(admin).get(artifact["file_id"]).read()


def test_a_card_keeps_the_curves_that_were_logged_first(run):
    names = [f"m{9 - number}" for number in range(9)] + [f"a{number:02d}" for number in range(30)]
    admin = run.database(Role.ADMIN)
    admin.metrics.insert_many([{"run_id": RUN, "name": name, "steps": [1], "values": [1.0]} for name in names])
    admin.runs.update_one({"_id": RUN}, {"$set": {"info.metrics": [{"name": name, "id": ""} for name in names]}})
    annotate(run.database(Role.SERVICE), RUN, "seen_by", "somebody")
    refresh_cards(run.database(Role.TRAINING))
    assert re.findall('aria-label="([^"]+)"', card_of(run)) == names[:MOST_CURVES]
