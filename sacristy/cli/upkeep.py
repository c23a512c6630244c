"""resync, reap, reproduce: keeping runs whole, and repeating them."""

from __future__ import annotations

import os
import secrets
from functools import partial
from typing import Annotated

import typer

from sacristy.cli.printing import JsonFlag, done, emit, out, steps, table, timed
from sacristy.cli.workbench import Workbench
from sacristy.commands import follow
from sacristy.environments import ensure_environment
from sacristy.errors import RunsUnsent, TrainingFailed
from sacristy.names import parse_run
from sacristy.ranks import training_command
from sacristy.settings import Role
from sacristy.tracking import reproduce as repeating
from sacristy.tracking.database import connect
from sacristy.tracking.resync import Resent
from sacristy.tracking.resync import reap as mark_dead
from sacristy.tracking.resync import resync as send_journals
from sacristy.tracking.runs import RunRecord, find_by_token, find_run
from sacristy.tracking.variables import TOKEN

PANEL = "From script to run"


def resync(json: JsonFlag = False) -> None:
    """Send the journals of runs that MongoDB does not have whole yet. Repeating it changes nothing."""
    bench = Workbench()
    with timed() as clock, steps("sending journals", quiet=json):
        sent = list(send_journals(bench.settings, partial(connect, bench.settings, Role.TRAINING)))
    rows = [(item.run, item.outcome, item.points, item.complete, item.folder, item.reason) for item in sent]
    columns = ["run", "outcome", "points", "complete", "journal", ""]
    emit(sent, json, lambda: table("Journals", columns, rows, "No journal is waiting: all runs are in MongoDB."))
    _fail_if_unsent(sent)
    if not json and sent:
        done(f"{len(sent)} journals looked at", clock())


def reap(json: JsonFlag = False) -> None:
    """Mark runs as DEAD whose process was not heard of for 35 s. The stack does this every minute."""
    bench = Workbench()
    with timed() as clock:
        dead = mark_dead(bench.database)
    text = f"runs {', '.join(map(str, dead))} are dead" if dead else "no run died unnoticed"
    emit({"dead": dead}, json, lambda: done(text, clock()))


def reproduce(
    run: Annotated[int, typer.Argument(help="The run to repeat.", parser=parse_run, metavar="RUN")],
    json: JsonFlag = False,
) -> None:
    """Train a run again from its commit, data and lock as a new run, and compare. Ends with 1 if they differ."""
    bench = Workbench()
    first = find_run(bench.database, run)
    with timed() as clock:
        second = _train_again(bench, first, quiet=json)
        tolerance = bench.model(first.model).file.reproduce_tolerance
        found = repeating.compare(bench.database, first, second, tolerance)

    def show() -> None:
        rows = [(row.name, row.first, row.second, row.verdict) for row in found.rows]
        table(
            f"Run {first.id} and run {second.id}",
            ["figure", str(first.id), str(second.id), "verdict"],
            rows,
            "No figures.",
        )
        for line in found.differs:
            out.print(f"differs: {line}", markup=False)
        done(f"run {second.id} repeats run {first.id}: {found.verdict}", clock())

    emit({"first": first.id, "second": second.id, "verdict": found.verdict, "comparison": found}, json, show)
    if found.verdict == "different":
        raise typer.Exit(1)


def _train_again(bench: Workbench, first: RunRecord, *, quiet: bool) -> RunRecord:
    token = secrets.token_hex(16)
    with repeating.checkout(bench.database, bench.settings.project, first) as folder:
        model = folder / "models" / first.model
        with steps(f"environment of {first.model} at {first.commit[:10]}", quiet):
            python = ensure_environment(bench.settings, model / "Pipfile.lock")
        environment = os.environ | repeating.environment(bench.settings, folder, first)
        environment |= {"PYTHONPATH": str(folder), TOKEN: token}
        words = ["with", *repeating.config_words(first.config), "-c", f"repeats run {first.id}"]
        argv = training_command(python, model / "train.py", words, first.ranks)
        code = follow(argv, folder=folder, environment=environment, quiet=quiet)
    second = find_by_token(bench.database, token)
    if code or second is None:
        raise TrainingFailed(model=first.model, code=code, run=second.id if second else "none")
    return second


def _fail_if_unsent(sent: list[Resent]) -> None:
    unsent = [item for item in sent if item.outcome == "unsent"]
    if unsent:
        raise RunsUnsent(count=len(unsent), reason=unsent[0].reason)


def add_to(app: typer.Typer) -> None:
    """Add this file's commands."""
    for command in (resync, reap, reproduce):
        app.command(rich_help_panel=PANEL)(command)
