"""The command line explains itself: every command and every flag has help."""

import pytest
import typer.main
from typer.testing import CliRunner

from sacristy.cli.main import app


def commands(command, path=()):
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


ALL = list(commands(typer.main.get_command(app)))
IDS = [" ".join(path) or "sacristy" for path, _ in ALL]
WANTED = "init up down status doctor train runs show build test push promote rollback deploy predict logs audit release"


def test_every_command_of_the_design_is_there():
    assert set(WANTED.split()) <= {path[0] for path, _ in ALL if path}


@pytest.mark.parametrize(("path", "command"), ALL, ids=IDS)
def test_every_command_has_help_and_ends_with_a_full_stop(path, command):
    assert (command.help or "").strip()
    assert command.help.strip().rstrip(")")[-1] in ".:]"


@pytest.mark.parametrize(("path", "command"), ALL, ids=IDS)
def test_every_flag_and_argument_has_help(path, command):
    for parameter in command.params:
        assert parameter.name == "help" or getattr(parameter, "help", None), f"{path} {parameter.name}"


@pytest.mark.parametrize(("path", "command"), [pair for pair in ALL if not hasattr(pair[1], "commands")])
def test_every_command_that_prints_results_has_json(path, command):
    without = {("env", "test"), ("env", "lock")}
    names = {option for parameter in command.params for option in getattr(parameter, "opts", [])}
    assert path in without or "--json" in names


@pytest.mark.parametrize("path", [path for path, _ in ALL], ids=IDS)
def test_help_is_printed_by_short_and_long_flag(path):
    for flag in ("-h", "--help"):
        answer = CliRunner().invoke(app, [*path, flag])
        assert answer.exit_code == 0
        assert "Usage" in answer.output


@pytest.mark.parametrize("words", [["no-such-command"], ["train"], ["promote", "digits:1"], ["runs", "--limit", "0"]])
def test_wrong_usage_ends_with_2(words):
    assert CliRunner().invoke(app, words).exit_code == 2
