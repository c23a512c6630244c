"""train, runs, show, env: from a script to a run."""

from __future__ import annotations

import typer

from sacristy.cli.arguments import ModelName
from sacristy.cli.printing import JsonFlag, done, emit, timed
from sacristy.cli.workbench import Workbench

PANEL = "From script to run"
STACK_CATEGORIES = "packages dev-packages embedded"

environment = typer.Typer(help="Python environments: make, test in, lock.", no_args_is_help=True)


def train(
    context: typer.Context,
    model: ModelName,
    json: JsonFlag = False,
) -> None:
    """Train a model as a Sacred run. What follows the model is Sacred's own: with epochs=3 seed=7, -c 'a comment'."""
    bench = Workbench()
    with timed() as clock:
        run = run_training(bench, bench.model(model), context.args, quiet=json)
    text = f"run {run.id} of {model} is {run.status}; next: sacristy build {model} --run {run.id}"
    emit(run.document, json, lambda: done(text, clock()))
