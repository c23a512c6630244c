"""A run's document, as its journal tells it."""

import bson
import pytest

from sacristy.errors import NoteReserved
from sacristy.tracking.card import card, curves, write_card
from sacristy.tracking.notes import note
from sacristy.tracking.runs import record
from sacristy.tracking.sending import nested
from sacristy.tracking.state import RunState, bounded, object_id

OURS = {"model": "digits", "commit": "a" * 40, "dirty": False}
START = {"e": "start", "time": 1000, "document": {"status": "RUNNING", "config": {"lr": 0.1}, "sacristy": OURS}}


def told(*events):
    state = RunState("digits-1")
    state.apply([START, *events])
    return state


def test_a_started_run_is_a_document_of_sacreds_shape():
    document = nested(told().fields())
    assert document["status"] == "RUNNING"
    assert document["config"] == {"lr": 0.1}
    assert document["info"] == {"commit": "aaaaaaaaaaaa"}
    assert document["sacristy"]["model"] == "digits"
    assert document["sacristy"]["journal"] == {"events": 1, "points": 0, "faulty": 0}


def test_info_lists_the_metrics_as_sacred_does():
    state = told(["loss", 0, 1.0, 1000], {"e": "beat", "time": 1, "info": {"a": 1}})
    assert state.fields()["info"]["a"] == 1
    assert state.fields()["info"]["metrics"] == [{"name": "loss", "id": str(state.metric_id("loss"))}]


def test_only_what_changed_is_sent():
    state = told()
    state.sent()
    state.apply([{"e": "note", "key": "data", "value": {"rows": 3}}])
    assert set(state.fields()) == {"sacristy.data", *(f"sacristy.journal.{n}" for n in ("events", "points", "faulty"))}


def test_what_is_no_event_is_counted_and_passed_over():
    state = told(["loss"], ["loss", 0, None, 1], ["loss", 2**70, 1.0, 1], {"e": "spell"}, {}, ["loss", 0, 1.0, 1])
    assert (state.faulty, state.points) == (5, 1)


def test_the_last_words_give_status_result_and_end():
    state = told()
    state.end({"status": "COMPLETED", "time": 5000, "result": 0.5, "lost": 0, "refused": 2})
    assert state.fields()["status"] == "COMPLETED"
    assert state.fields()["stop_time"].timestamp() == 5
    assert state.fields()["sacristy.journal.refused"] == 2


def test_a_result_that_only_a_beat_has_told_is_scored():
    state = RunState("digits-1")
    start = START | {"document": START["document"] | {"sacristy": OURS | {"main_metric": "test.accuracy"}}}
    state.apply([start, {"e": "beat", "time": 1, "result": {"accuracy": 0.5}}])
    state.end({"status": "COMPLETED", "time": 5000})
    assert (state.fields()["result"], state.fields()["sacristy.score"]) == ({"accuracy": 0.5}, 0.5)


def test_a_run_without_last_words_ended_with_its_last_event():
    state = told(["loss", 0, 1.0, 7000])
    state.dead()
    assert (state.fields()["status"], state.fields()["stop_time"].timestamp()) == ("DEAD", 7)


def test_the_same_things_have_the_same_ids():
    assert object_id("a", "b") == object_id("a", "b") != object_id("ab", "")


@pytest.mark.parametrize(
    ("result", "score"), [({"accuracy": 0.9}, 0.9), ({"loss": 1}, 0.5), (None, 0.5), ({"accuracy": "high"}, None)]
)
def test_the_score_is_the_main_metric_of_the_result_or_as_last_logged(result, score):
    ours = OURS | {"main_metric": "validation.accuracy"}
    start = {**START, "document": {**START["document"], "sacristy": ours}}
    state = RunState("digits-1")
    state.apply([start, ["validation.accuracy", 0, 0.1, 1], ["validation.accuracy", 1, 0.5, 2]])
    state.end({"status": "COMPLETED", "time": 5000, "result": result})
    assert state.fields().get("sacristy.score") == score


def test_a_section_too_large_for_a_document_says_so():
    assert "left_out" in bounded(["x" * 1000] * 5000)


def test_the_card_shows_curves_and_escapes_what_the_run_said():
    state = told(["<script>", 0, 1.0, 1], ["<script>", 1, float("inf"), 1], ["<script>", 2, 3.0, 1])
    page = card(state.about, curves(state), 7)
    assert "digits · run 7" in page
    assert "<polyline" in page
    assert "<script>" not in page


WIDE = [[0] * 100_000] * 6  # 1.8 MB as JSON, 6.5 MB as BSON


@pytest.mark.parametrize(
    ("key", "value"),
    [("data", "cifar"), ("search", "grid"), ("weights", [{"name": "a", "digest": "b", "size": "big"}]), ("parent", {})],
)
def test_a_note_of_a_form_that_no_card_expects_keeps_no_run_back(tmp_path, key, value):
    state = told({"e": "note", "key": key, "value": value})
    state.end({"status": "COMPLETED", "time": 2000})
    write_card(tmp_path, state, 7)
    document = nested(state.fields())
    assert document["sacristy"][key] == value
    found = record(document | {"_id": 7})
    assert (found.status, found.data, found.weights) == ("COMPLETED", {}, ())


@pytest.mark.parametrize("key", ["journal", "acceptance", "release", ""])
def test_a_note_over_what_is_kept_of_every_run_is_refused(key):
    with pytest.raises(NoteReserved):
        note(None, key, {"passed": True})


def size(state):
    return len(bson.encode(nested(state.fields())))


def test_a_section_is_measured_as_the_database_holds_it():
    assert "left_out" in bounded(WIDE)
    start = {**START, "document": {**START["document"], "config": {"wide": WIDE}}}
    state = RunState("digits-1")
    state.apply([start, {"e": "beat", "time": 1, "info": {"wide": WIDE}, "result": WIDE}])
    assert size(state) < 10_000
    assert "left_out" in state.fields()["config"]
    assert "left_out" in state.fields()["info"]


def test_many_sections_together_stay_a_document_and_say_what_is_missing():
    megabyte = "x" * (1 << 20)
    state = told(*({"e": "note", "key": f"n{n}", "value": megabyte} for n in range(30)))
    assert size(state) < 13 << 20
    fields = state.fields()
    assert fields["sacristy.journal.left_out"] == sum("left_out" in fields[f"sacristy.n{n}"] for n in range(30)) > 15
    state.end({"status": "COMPLETED", "time": 5000, "result": megabyte})
    assert state.fields()["status"] == "COMPLETED"


def test_a_full_document_counts_what_it_has_no_notice_for():
    filled = [{"e": "note", "key": f"n{n}", "value": "x" * 100_000} for n in range(110)]
    state = told(*filled, *({"e": "note", "key": f"m{n}" + "k" * 500, "value": "x" * 2000} for n in range(10_000)))
    assert size(state) < 14 << 20
    assert state.fields()["sacristy.journal.left_out"] > 9000


def test_metrics_of_the_longest_names_do_not_fill_the_document():
    state = told(*([f"{n}" + "☃" * 490, 0, 1.0, 1] for n in range(5000)))
    assert size(state) < 3 << 20
    assert state.fields()["sacristy.journal.left_out"] + len(state.fields()["info"]["metrics"]) == 5000


def test_the_metadata_of_an_artifact_is_bounded_too():
    state = told({"e": "artifact", "name": "a", "file": "a", "type": None, "meta": {"wide": WIDE}})
    assert "left_out" in state.unsent_files[0].meta
