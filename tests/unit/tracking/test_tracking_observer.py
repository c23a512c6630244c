"""What the observer says when Sacred tells it something that cannot be."""

import datetime
from types import SimpleNamespace

import pytest

from sacristy.errors import RunNumberChosen
from sacristy.settings import Settings
from sacristy.tracking import observer


def test_a_run_that_asks_for_a_number_is_told_so_and_nothing_else(tmp_path, monkeypatch):
    said, now = [], datetime.datetime(2026, 1, 2)  # naive, as Sacred gives it
    monkeypatch.setattr(observer, "Shipment", lambda *_: SimpleNamespace(wake=lambda: None))
    monkeypatch.setattr(observer, "provenance", lambda *_: ({}, ""))
    found = observer.JournalObserver(Settings(project=tmp_path, home=tmp_path), "digits", tmp_path, said.append)
    with pytest.raises(RunNumberChosen):
        found.started_event({}, "main", {}, now, {}, {}, 5)
    found.failed_event(now, ["a trace"])
    assert said == []
