"""Journals that are too large, half removed or damaged: each is told, and none keeps back the next."""

import shutil

import pytest

from sacristy.settings import Role
from sacristy.tracking import resync as afterwards
from sacristy.tracking import shipper, state
from sacristy.tracking.journal import END, EVENTS, Journal
from sacristy.tracking.resync import resync
from sacristy.tracking.runs import find_run
from sacristy.tracking.series import read_metrics

OURS = {"model": "digits", "commit": "", "dirty": True}
WIDE = [[0] * 100_000] * 6  # 6.5 MB as BSON


@pytest.fixture
def write(bench):
    """Return a function that leaves the journal of an ended run behind, as a trainer without a database does."""

    def journal(config=None, points=10):
        made = Journal.create(bench.settings.journals, "digits", print)
        document = {"status": "RUNNING", "experiment": {"name": "digits"}, "config": config or {}, "sacristy": OURS}
        made.event("start", time=1000, document=document)
        for step in range(points):
            made.append(b'["loss",%d,0.5,2000]\n' % step)
        made.event("beat", time=3000, info={"wide": (config or {}).get("wide")})
        made.end({"status": "COMPLETED", "time": 4000})
        return made.folder

    return journal


def outcomes(bench):
    return {sent.folder: sent for sent in resync(bench.settings, bench.connect)}


def test_sections_that_are_small_as_json_only_are_left_out_and_the_run_arrives(bench, write):
    folder = write({"wide": WIDE, "wider": WIDE})
    sent = outcomes(bench)[folder]
    assert (sent.outcome, sent.complete) == ("sent", True)
    run = find_run(bench.db, sent.run)
    assert run.status == "COMPLETED"
    assert "left_out" in run.config


def test_a_document_the_database_refuses_does_not_keep_back_the_next(bench, write, monkeypatch):
    for name in ("MOST_SECTION_BYTES", "MOST_DOCUMENT_BYTES"):
        monkeypatch.setattr(state, name, 1 << 30)
    bad, good = write({"wide": WIDE, "wider": WIDE}), write()
    found = outcomes(bench)
    assert found[bad].outcome == "unsent"
    assert "too large" in found[bad].reason.lower()
    assert found[good].complete
    assert bench.journals() == [bad]


def test_whatever_else_is_wrong_with_a_journal_does_not_keep_back_the_next(bench, write):
    bad, good = write(), write()
    (bad / shipper.OWNER).mkdir()
    found = outcomes(bench)
    assert (found[bad].outcome, found[good].outcome) == ("unsent", "sent")
    assert "IsADirectoryError" in found[bad].reason


def test_a_removal_that_was_interrupted_is_finished_and_changes_no_run(bench, write, monkeypatch):
    folder = write()

    def interrupted(path):
        (path / END).unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shipper.shutil, "rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            outcomes(bench)
    assert bench.journals() == []
    assert len(afterwards.leftovers(bench.settings)) == 1
    assert not folder.exists()
    assert outcomes(bench) == {}
    assert not list(bench.settings.journals.iterdir())
    (run,) = bench.db.runs.find()
    assert (run["status"], run["sacristy"]["journal"]["complete"]) == ("COMPLETED", True)


def test_a_complete_run_never_dies_of_a_journal_without_last_words(bench, write):
    folder = write()
    shutil.copytree(folder, bench.home / "copy")
    assert outcomes(bench)[folder].complete
    shutil.copytree(bench.home / "copy", folder)
    (folder / END).unlink()
    assert outcomes(bench)[folder].complete
    (run,) = bench.db.runs.find()
    assert (run["status"], run["sacristy"]["journal"]["complete"]) == ("COMPLETED", True)
    assert not folder.exists()


def test_a_folder_without_events_is_removed_but_not_a_journal_being_made(bench, write):
    folder = write()
    (folder / EVENTS).unlink()
    young = bench.settings.journals / "digits-young"
    young.mkdir()
    assert outcomes(bench) == {}
    assert list(bench.settings.journals.iterdir()) == [young]


def test_a_run_does_not_get_the_number_of_one_that_somebody_removed_but_for_its_points(bench, write):
    write(points=10)
    (first,) = resync(bench.settings, bench.connect)
    bench.server.database(Role.ADMIN).runs.delete_one({"_id": first.run})
    write(points=3)
    (second,) = resync(bench.settings, bench.connect)
    assert (second.run, second.complete) == (first.run + 1, True)
    assert len(read_metrics(bench.db, second.run)["loss"]) == 3
