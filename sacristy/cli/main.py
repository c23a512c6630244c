"""The `sacristy` command."""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated

import typer

from sacristy import __version__
from sacristy.cli import (
    audit,
    backup,
    bundle,
    canary,
    cluster,
    data,
    database,
    demo,
    difference,
    environments,
    images,
    jenkins,
    pipeline,
    registry,
    release,
    search,
    serving,
    stack,
    statistics,
    tokens,
    training,
    upkeep,
    weights,
)
from sacristy.cli.printing import err, fail, out
from sacristy.errors import SacristyError

UNEXPECTED = 70
INTERRUPTED = 130

app = typer.Typer(
    name="sacristy",
    help="From a Sacred run to a served answer, on your own machines.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (
    demo,
    stack,
    tokens,
    training,
    search,
    upkeep,
    environments,
    images,
    registry,
    release,
    audit,
    difference,
    serving,
    canary,
    statistics,
    cluster,
    data,
    database,
    weights,
    backup,
    bundle,
    jenkins,
    pipeline,
):
    group.add_to(app)


def print_version(wanted: bool) -> None:
    """Print the version and end, if that is wanted."""
    if wanted:
        out.print(__version__)
        raise typer.Exit


@app.callback()
def options(
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where a failure came from.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what is run and asked.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """From a Sacred run to a served answer, on your own machines."""
    if traceback:
        os.environ["SACRISTY_TRACEBACK"] = "1"
    logging.basicConfig(level=logging.DEBUG if verbose else logging.WARNING, format="%(name)s: %(message)s")
    for noisy in ("pymongo", "httpx", "httpcore", "git", "filelock", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def main() -> None:
    """Run a command; end with 0, 1 for a known failure, 2 for wrong usage, 70 for a fault of ours."""
    try:
        app()
    except SacristyError as error:
        if os.environ.get("SACRISTY_TRACEBACK"):
            raise
        fail(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if os.environ.get("SACRISTY_TRACEBACK"):
            raise
        err.print(f"[red]unexpected failure:[/] {type(error).__name__}: {error}", markup=True)
        err.print("this is a fault of Sacristy: run it again with 'sacristy --traceback ...' and report what it shows")
        sys.exit(UNEXPECTED)
