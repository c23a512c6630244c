"""The checks of the pipeline are those of `make check` and the unit tier, as command lines."""

import sys
from pathlib import Path

from sacristy.cli.pipeline import check_commands

PYTHON = [sys.executable, "-m"]


def test_the_checks_are_command_lines():
    assert check_commands(None) == {
        "lint": [*PYTHON, "ruff", "check", "."],
        "format": [*PYTHON, "ruff", "format", "--check", "."],
        "types": [*PYTHON, "mypy"],
        "unit tests": [*PYTHON, "pytest", "-q", "tests/unit"],
    }


def test_reports_go_where_they_are_wanted():
    assert check_commands(Path("reports"))["unit tests"][-1] == "--junitxml=reports/unit.xml"


def test_the_makefile_checks_the_same():
    makefile = (Path(__file__).parents[3] / "Makefile").read_text()
    for tool, argv in check_commands(None).items():
        assert tool == "unit tests" or f"$(BIN)/{' '.join(argv[2:])}\n" in makefile
