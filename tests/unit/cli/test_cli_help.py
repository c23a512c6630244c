"""The command line explains itself: every command and every flag has help."""

import pytest
import typer.main

from sacristy.cli.main import app


def commands(command, path=()):
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


WHOLE = typer.main.get_command(app)  # made once: it takes 10 ms
ALL = list(commands(WHOLE))
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


@pytest.fixture
def asked(capsys):
    """Return a function that gives the exit code and what was printed."""

    def asked(*words):
        with pytest.raises(SystemExit) as ended:
            WHOLE(words, prog_name="sacristy")
        return ended.value.code, capsys.readouterr().out

    return asked


@pytest.mark.parametrize("path", [path for path, _ in ALL], ids=IDS)
def test_help_is_printed_by_the_short_flag(asked, path):
    code, printed = asked(*path, "-h")
    assert code == 0
    assert "--help" in printed


@pytest.mark.parametrize("path", [(), ("runs",), ("weights", "ls")])
def test_and_by_the_long_one(asked, path):
    assert asked(*path, "--help") == asked(*path, "-h")


@pytest.mark.parametrize("words", [["no-such-command"], ["train"], ["promote", "digits:1"], ["runs", "--limit", "0"]])
def test_wrong_usage_ends_with_2(asked, words):
    assert asked(*words)[0] == 2
