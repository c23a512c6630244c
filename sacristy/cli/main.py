"""The `sacristy` command."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated

import typer

from sacristy import __version__
from sacristy.cli.printing import err, fail, out
from sacristy.errors import SacristyError

UNEXPECTED = 70
INTERRUPTED = 130

# Which file of this folder has which commands, in the order of the help. To import all of them takes half a second.
COMMANDS: dict[str, tuple[str, ...]] = {
    "demo": ("demo",),
    "stack": ("init", "up", "down", "status", "doctor"),
    "tokens": ("tokens",),
    "training": ("train", "runs", "show"),
    "search": ("search",),
    "upkeep": ("resync", "reap", "reproduce"),
    "environments": ("env",),
    "images": ("build", "push"),
    "registry": ("images",),
    "release": ("test", "approve", "promote", "rollback", "release"),
    "audit": ("audit", "approvals"),
    "difference": ("diff",),
    "serving": ("deploy", "predict", "logs"),
    "canary": ("canary",),
    "statistics": ("stats",),
    "cluster": ("manifests", "operator"),
    "data": ("data",),
    "database": ("database",),
    "weights": ("weights",),
    "backup": ("backup", "restore"),
    "bundle": ("bundle",),
    "jenkins": ("jenkins",),
    "pipeline": ("check", "changed", "dossier", "watch", "notify"),
}


def print_version(wanted: bool) -> None:
    """Print the version and end, if that is wanted."""
    if wanted:
        out.print(__version__)
        raise typer.Exit


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


def files_for(words: Sequence[str]) -> list[str]:
    """Return the files that a command line needs: that of its command, or all, where help or a correction is due."""
    command = next((word for word in words if not word.startswith("-")), "")
    return [file for file, names in COMMANDS.items() if command in names] or list(COMMANDS)


def make_app(files: Iterable[str]) -> typer.Typer:
    """Return the application with the commands of some files."""
    app = typer.Typer(
        name="sacristy",
        help="From a Sacred run to a served answer, on your own machines.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(options)
    for file in files:
        importlib.import_module(f"sacristy.cli.{file}").add_to(app)
    return app


def __getattr__(name: str) -> typer.Typer:
    """Give `app`, with all commands, to who asks for it."""
    if name != "app":
        raise AttributeError(name)
    return make_app(COMMANDS)


def main() -> None:
    """Run a command; end with 0, 1 for a known failure, 2 for wrong usage, 70 for a fault of ours."""
    try:
        make_app(files_for(sys.argv[1:]))()
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
