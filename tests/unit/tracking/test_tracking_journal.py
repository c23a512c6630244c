"""What the journal took can be read back, whatever happened in between."""

import json
import math
import os
import resource
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from sacristy.errors import JournalNotWritable
from sacristy.tracking import reading
from sacristy.tracking.journal import EVENTS, Journal
from sacristy.tracking.reading import JournalReader, last_words
from sacristy.tracking.resync import journals
from sacristy.tracking.scalars import LONGEST_NAME, REPORTS, Scalars
from sacristy.tracking.state import RunState


@pytest.fixture
def said():
    return []


@pytest.fixture
def journal(tmp_path, said):
    return Journal.create(tmp_path / "journals", "digits", said.append)


@pytest.fixture
def scalars(journal, said):
    return Scalars(journal, 0.0, said.append)


def events(journal):
    reader, found = JournalReader(journal.folder), []
    while batch := reader.batch():
        found += batch
    return found


def test_points_come_back_in_order(journal, scalars, monkeypatch):
    monkeypatch.setattr(reading, "BATCH_BYTES", 20_000)
    for step in range(3000):  # several batches
        scalars.log("loss", step / 7)
    assert (journal.folder / EVENTS).stat().st_size > 3 * reading.BATCH_BYTES
    assert [event[1:3] for event in events(journal)] == [[step, step / 7] for step in range(3000)]


def test_nan_and_infinities_are_stored_as_such(journal, scalars):
    for value in (math.nan, math.inf, -math.inf):
        scalars.log("loss", value)
    values = [event[2] for event in events(journal)]
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf]


@pytest.mark.parametrize("name", ["$set", "a.b/c", "ünï ☃", '"', "\ud800", "\n", "\0", ""])
def test_any_name_is_one_line(journal, scalars, name):
    scalars.log(name, 1.0)
    (event,) = events(journal)
    assert event[0] == name.encode("utf-8", "backslashreplace").decode()


def test_steps_may_be_given_and_go_on_from_there(journal, scalars):
    for step in (5, None, 2, None):
        scalars.log("loss", 1, step)
    assert [event[1] for event in events(journal)] == [5, 6, 2, 3]


def test_a_refused_value_is_one_line_that_names_metric_and_value(journal, scalars, said):
    scalars.log("loss", "high")
    assert said == ["metric 'loss': the value 'high' is refused: it is not a number"]
    assert events(journal) == []


def test_refusals_stop_being_reported_but_not_counted(scalars, said):
    for _ in range(100):
        scalars.log("loss", None)
    assert len(said) == REPORTS
    assert scalars.refused["loss"] == 100


@pytest.mark.parametrize(
    ("name", "step"), [("loss", 2**63), ("loss", 0.5), ("loss", "x"), ("n" * (LONGEST_NAME + 1), 1)]
)
def test_a_wrong_step_or_name_is_refused(scalars, said, name, step):
    scalars.log(name, 1.0, step)
    assert len(said) == 1
    assert "is refused" in said[0]


def test_names_that_are_no_text_are_taken_by_their_repr(journal, scalars):
    scalars.log(["a"], 1.0)
    assert events(journal)[0][0] == "['a']"


def test_threads_never_mix_their_lines(journal, scalars):
    threads = [threading.Thread(target=lambda n=n: [scalars.log(f"m{n}", 1.0) for _ in range(500)]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = events(journal)
    assert len(found) == 4000
    assert [event[1] for event in found if event[0] == "m3"] == list(range(500))


def test_a_torn_line_is_counted_and_hides_nothing_else(journal, scalars):
    scalars.log("loss", 1.0)
    with (journal.folder / EVENTS).open("ab") as file:
        file.write(b'["loss",1,0.\n\0\0\0\n')
    scalars.log("loss", 2.0)
    reader = JournalReader(journal.folder)
    assert [event[2] for event in reader.batch()] == [1.0, 2.0]
    assert reader.torn == 2


def test_two_torn_lines_are_not_taken_for_one(journal, scalars):
    with (journal.folder / EVENTS).open("ab") as file:
        file.write(b'["loss",1\n0.5,7]\n')
    scalars.log("loss", 2.0)
    reader = JournalReader(journal.folder)
    assert [event[2] for event in reader.batch()] == [2.0]
    assert reader.torn == 2


def test_a_line_being_written_waits(journal):
    with (journal.folder / EVENTS).open("ab") as file:
        file.write(b'["loss",1,0.')
    reader = JournalReader(journal.folder)
    assert reader.batch() == []
    assert reader.leftover()


@pytest.fixture
def small_files():
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_said_once_counted_and_survived(journal, scalars, said, small_files):
    small_files(100_000)
    for step in range(10_000):
        scalars.log("loss", float(step))
    small_files(10_000_000)
    scalars.log("loss", -1.0)
    journal.end({"status": "COMPLETED"})
    found = events(journal)
    assert len(said) == 1
    assert "File too large" in said[0]
    assert len(found) + journal.lost == 10_001
    assert found[-1][2] == -1.0


def test_the_last_words_fit_on_a_full_disk(journal, small_files):
    small_files(70_000)
    journal.append(b"[]\n" * 30_000)
    journal.end({"status": "COMPLETED", "result": {"a": 1}})
    assert last_words(journal.folder) == {"status": "COMPLETED", "result": {"a": 1}}


def test_last_words_too_long_for_their_place_are_shortened(journal):
    trace = ["Traceback (most recent call last):\n", *["  frame\n"] * 20_000, "RecursionError: 50 % of “x” left\n"]
    journal.end({"status": "FAILED", "fail_trace": trace})
    words = last_words(journal.folder)
    assert words["status"] == "FAILED"
    text = "".join(words["fail_trace"])
    assert text.startswith(trace[0])
    assert text.endswith(trace[-1])
    assert "characters left out here" in text


def test_a_result_too_long_for_the_last_words_is_that_of_the_last_beat(journal):
    journal.event("beat", time=1, result={"accuracy": 0.5, "matrix": [0.25] * 20_000})
    journal.end({"status": "COMPLETED", "time": 2, "result": {"accuracy": 0.5, "matrix": [0.25] * 20_000}})
    state = RunState("digits-1")
    state.apply(events(journal))
    state.end(last_words(journal.folder))
    assert state.fields()["result"]["accuracy"] == 0.5


def test_a_strict_journal_stops_the_run(tmp_path, small_files):
    journal = Journal.create(tmp_path, "digits", print, strict=True)
    small_files(70_000)
    with pytest.raises(JournalNotWritable):
        journal.append(b"[]\n" * 30_000)


def test_a_journal_that_has_ended_keeps_its_last_words(journal, said):
    journal.end({"status": "COMPLETED"})
    with Path(os.devnull).open() as other:  # takes the number of a file that the journal closed
        journal.end({"status": "INTERRUPTED"})
        journal.close()
        os.fstat(other.fileno())
    assert last_words(journal.folder) == {"status": "COMPLETED"}
    assert (said, journal.lost) == ([], 0)


def test_logging_after_the_end_says_so(journal, scalars, said):
    journal.end({"status": "COMPLETED"})
    scalars.log("loss", 1.0)
    assert "after the run's end" in said[0]


def test_a_folder_that_refuses_is_an_error_with_its_path(tmp_path):
    (tmp_path / "journals").touch()
    with pytest.raises(JournalNotWritable, match="journals"):
        Journal.create(tmp_path / "journals", "digits", print)


def test_an_artifact_is_copied_before_the_call_returns(journal, tmp_path):
    source = tmp_path / "a.txt"
    source.write_text("first")
    kept = journal.keep(source, "a.txt")
    source.write_text("second")
    assert (journal.folder / kept).read_text() == "first"


def test_events_are_lines_of_json(journal):
    journal.event("note", key="a", value=1)
    assert json.loads((journal.folder / EVENTS).read_text()) == {"e": "note", "key": "a", "value": 1}


def test_a_journal_that_goes_while_journals_are_listed_is_passed_over(journal, tmp_path):
    there = journal.folder / EVENTS
    seen = SimpleNamespace(glob=lambda _: [tmp_path / "journals" / "digits-gone" / EVENTS, there])
    assert journals(SimpleNamespace(journals=seen)) == [journal.folder]
