"""Progress of bytes: a bar on a terminal, a plain line now and then elsewhere, nothing where JSON is printed."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from sacristy.cli import progress
from sacristy.cli.progress import MIB, bytes_bar


@pytest.fixture
def clock(monkeypatch):
    """Return a function that says what time it is from now on."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, seconds)


def test_elsewhere_a_line_comes_every_five_seconds(clock, capsys):
    with bytes_bar("run 7", 30 * MIB) as advance:
        advance(10 * MIB)
        clock(4.9)
        advance(MIB)
        assert capsys.readouterr().err == ""
        clock(5.0)
        advance(9 * MIB)
    assert capsys.readouterr().err.strip() == "run 7: 20 of 30 MiB"


def test_on_a_terminal_a_bar_shows_bytes_and_rate(monkeypatch, capsys):
    monkeypatch.setattr(progress, "err", Console(force_terminal=True, width=120))
    with bytes_bar("run 7", 10_000_000) as advance:
        advance(5_000_000)
    assert "5.0/10.0 MB" in capsys.readouterr().out


def test_json_is_not_mixed_with_progress(clock, capsys):
    with bytes_bar("run 7", 10, quiet=True) as advance:
        clock(60)
        advance(10)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["[/red].txt", "{x}.txt", "a{task.nope}.txt", "[bold]a.txt"])
def test_a_file_of_any_name_is_shown_as_it_is(monkeypatch, name):
    terminal = Console(file=io.StringIO(), force_terminal=True, width=120)
    monkeypatch.setattr(progress, "err", terminal)
    with bytes_bar(name, 10) as advance:
        advance(10)
    assert name in terminal.file.getvalue()
