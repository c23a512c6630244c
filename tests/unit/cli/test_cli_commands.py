"""Which file has which command: what main.py says is what the files add."""

import pytest
import typer

from sacristy.cli.main import COMMANDS, files_for, make_app


def commands(files):
    return tuple(typer.main.get_command(make_app(files)).commands)


@pytest.mark.parametrize("file", COMMANDS)
def test_a_file_has_the_commands_that_are_said(file):
    assert commands([file]) == COMMANDS[file]


@pytest.mark.parametrize(
    ("words", "files"),
    [
        (["runs", "--limit", "3"], ["training"]),
        (["--traceback", "-v", "diff", "news"], ["difference"]),
        (["images"], ["registry"]),
        ([], list(COMMANDS)),
        (["--help"], list(COMMANDS)),
        (["promot"], list(COMMANDS)),
    ],
)
def test_only_what_a_command_needs_is_imported(words, files):
    assert files_for(words) == files
