"""Who refers to weights."""

from __future__ import annotations

import pytest

from sacristy.settings import Settings
from sacristy.tracking.journal import Journal
from sacristy.weights.references import journal_weights

DIGEST = "sha256:" + "0" * 64


def test_a_run_whose_journal_was_not_sent_refers_to_its_weights(tmp_path):
    settings = Settings(project=tmp_path, home=tmp_path / "home")
    journal = Journal.create(settings.journals, "toy", print)
    journal.append(b'["loss",1,0.5,1700000000000]\n')
    journal.event("note", key="weights", value=[{"name": "a.txt", "digest": DIGEST, "size": 1, "role": "weights"}])
    journal.event("note", key="data", value={"digest": "sha256:" + "1" * 64})
    journal.append(b'{"e":"note","key":"weights","val')  # as a kill leaves it
    assert list(journal_weights(settings)) == [(f"journal {journal.key}", DIGEST)]


@pytest.mark.parametrize("odd", ["best.pt", None, 7, {"digest": DIGEST}, ["best.pt"], [{}], [{"digest": 7}]])
def test_what_a_script_noted_under_that_name_refers_to_nothing(tmp_path, odd):
    settings = Settings(project=tmp_path, home=tmp_path / "home")
    journal = Journal.create(settings.journals, "toy", print)
    journal.event("note", key="weights", value=odd)
    journal.event("note", key="weights", value=[{"name": "a.txt", "digest": DIGEST, "size": 1, "role": "weights"}])
    assert list(journal_weights(settings)) == [(f"journal {journal.key}", DIGEST)]


def test_without_journals_there_is_nothing_that_refers(tmp_path):
    assert list(journal_weights(Settings(project=tmp_path, home=tmp_path / "home"))) == []
