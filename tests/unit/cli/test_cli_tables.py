"""The tables of audit, diff and prune, for people."""

from dataclasses import replace
from datetime import UTC, datetime

from sacristy.cli import audit, difference, registry
from sacristy.images.garbage import Garbage
from sacristy.images.image import Image
from sacristy.names import Version
from sacristy.release.approvals import Pending
from sacristy.release.difference import Code, Difference
from sacristy.release.retention import Choice
from sacristy.sources import FileChange

DIGEST = "sha256:" + "ab" * 32
MOVE = {"at": datetime(2026, 1, 2, tzinfo=UTC), "by": "ana", "action": "promoted", "model": "toy", "stage": "staging"}
MOVE |= {"version": "7", "from": None, "to": DIGEST, "why": "better", "state": "moving", "signature": DIGEST}
MOVE |= {"approvals": [{"by": "ben"}, {"by": "cleo"}], "evidence": {"figures": {"accuracy": 0.9, "memory_mib": 3}}}


def test_a_move_is_one_row_with_approvals_signature_and_score():
    row = dict(zip(audit.COLUMNS, audit._row(MOVE), strict=True))
    assert (row["what"], row["approved by"], row["signature"]) == ("promoted (moving)", "ben, cleo", "ab" * 6)
    assert row["evidence"] == "accuracy=0.9"


def test_an_old_move_without_approvals_is_shown_too():
    old = {key: value for key, value in MOVE.items() if key not in ("approvals", "signature")} | {"evidence": None}
    row = dict(zip(audit.COLUMNS, audit._row(old), strict=True))
    assert (row["approved by"], row["signature"], row["evidence"]) == ("", "", "none")


def test_what_waits_for_a_word_says_to_each_what_is_next():
    asked = ("ana", "better", MOVE["at"])
    waiting = Pending("toy", "production", "7", 7, DIGEST, *asked, asked_by=("ana",), given=(), wanted=1)
    rows = {name: audit._waiting_row(waiting, name) for name in ("ana", "ben")}
    assert rows["ana"][:5] == ("toy:7", "production", *asked[:1], asked[2], asked[1])
    assert rows["ana"][5:] == ("0 of 1", "asked for by you")
    assert rows["ben"][5:] == ("0 of 1", "sacristy approve toy:7 production --why '...'")
    approved = replace(waiting, given=({"by": "ben"},))
    assert audit._waiting_row(approved, "ben")[5:] == ("1 of 1 (ben)", "approved by you")
    assert audit._waiting_row(approved, "ana")[5:] == ("1 of 1 (ben)", "sacristy promote toy:7 production --why '...'")


def test_a_difference_shows_both_sides(capsys):
    one, two = (Image("toy", Version(run), run, DIGEST) for run in (7, 8))
    code = Code(("a" * 40, "b" * 40), 3, [FileChange("models/toy/serve.py", 2, 1)])
    parts = {name: {} for name in ("data", "result", "weights", "scores")}
    parts |= {"config": {"lr": (0.1, 0.2)}, "packages": {"attrs": (None, "1.0")}}
    difference._show(Difference(one, two, (["staging"], []), code, **parts, sizes=(10, 20), shared_bytes=5))
    shown = capsys.readouterr().out
    for text in ("toy:7", "toy:8", "models/toy/serve.py", "attrs", "3 commits apart; 1 files and 3 lines"):
        assert text in shown


def test_what_stays_says_why_and_the_rest_goes(capsys):
    choices = [Choice("toy", Version(run), DIGEST, 10, why) for run, why in ((8, "production is there"), (7, ""))]
    registry._show(choices)
    lines = capsys.readouterr().out.splitlines()
    assert "production is there" in lines[2]
    assert lines[3].strip().endswith("goes")


def test_what_only_the_registry_can_collect_is_told():
    assert (
        registry._garbage(Garbage(True, 2, 1000, 1, 7)) == "2 blobs, 1,000 bytes removed; 7 unused bytes are too young"
    )
    assert "registry garbage-collect" in registry._garbage(Garbage(False, 2, 1000))
