import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sacristy.cli import printing
from sacristy.errors import DeploymentFailed
from sacristy.images.image import Image
from sacristy.names import Version


@dataclass
class Row:
    first: float
    second: float | None


def test_json_writes_versions_and_paths_as_people_do(capsys):
    image = Image("news", Version(42, 1), 42, "sha256:x")
    printing.emit({"image": image, "folder": Path("/a"), "at": datetime(2026, 1, 2, tzinfo=UTC)}, True, lambda: None)
    assert json.loads(capsys.readouterr().out) == {
        "image": {"model": "news", "version": "42.1", "run": 42, "digest": "sha256:x"},
        "folder": "/a",
        "at": "2026-01-02T00:00:00+00:00",
    }


def test_json_keeps_apart_what_it_has_no_number_for(capsys):
    line = [[0, math.nan], (1, math.inf), [2, -math.inf], [3, 0.5]]
    printing.emit({"loss": line, "result": Row(math.nan, None)}, True, lambda: None)
    assert json.loads(capsys.readouterr().out) == {
        "loss": [[0, "NaN"], [1, "Infinity"], [2, "-Infinity"], [3, 0.5]],
        "result": {"first": "NaN", "second": None},
    }


def test_tables_show_values_and_not_their_markup(capsys):
    printing.table("T", ["a", "b"], [("[red]x[/]", True), (None, 0.123456)], "none")
    shown = capsys.readouterr().out
    assert "[red]x[/]" in shown
    assert "yes" in shown
    assert "0.1235" in shown


def test_an_empty_table_says_what_to_do(capsys):
    printing.table("T", ["a"], [], "Nothing. Next: sacristy up")
    assert capsys.readouterr().out == "Nothing. Next: sacristy up\n"


def test_a_failure_is_its_details_and_one_line(capsys):
    error = DeploymentFailed(
        image="d:2",
        model="d",
        stage="production",
        reason="it crashed",
        kept="d:1 still answers",
        cause="boom [x]\nbang",
    )
    printing.fail(error)
    *detail, line = capsys.readouterr().err.splitlines()
    assert detail == ["boom [x]", "bang"]
    assert line.startswith("error: d:2 was not deployed to production: it crashed. d:1 still answers → ")
