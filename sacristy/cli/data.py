"""data status, pull, push: the files that models are trained on, kept by DVC."""

from __future__ import annotations

from typing import Annotated

import typer

from sacristy.cli.printing import JsonFlag, done, emit, steps, table, timed
from sacristy.cli.workbench import Workbench
from sacristy.environments import ensure_environment
from sacristy.names import parse_model
from sacristy.project import model_names
from sacristy.stack import dvc

PANEL = "The store"
app = typer.Typer(no_args_is_help=True)
Models = Annotated[
    list[str] | None, typer.Argument(help="Models; all with a data.dvc if not given.", metavar="[MODEL]...")
]


@app.command()
def status(models: Models = None, json: JsonFlag = False) -> None:
    """Show whether each model's data is here and is what its data.dvc says. Ends with 1 if not."""
    bench = Workbench()
    found = dvc.status(bench.settings, _chosen(bench, models))
    data = [
        {"model": one.pointer.model, "state": one.state, "path": one.path, "md5": one.pointer.md5, "found": one.found}
        for one in found
    ]
    rows = [(one.pointer.model, one.state, one.path, f"{one.pointer.size:,}", one.pointer.md5) for one in found]
    emit(data, json, lambda: table("Data", ["model", "", "file", "bytes", "md5"], rows, "No model has a data.dvc."))
    if any(one.state in ("missing", "changed") for one in found):
        raise typer.Exit(1)


@app.command()
def pull(
    models: Models = None,
    if_missing: Annotated[
        bool, typer.Option("--if-missing", help="Only what is not here, at its place or as a sound copy.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Bring the data of models from the remote, verified."""
    bench = Workbench()
    names = _missing(bench, models, quiet=json) if if_missing else _with_data(bench, models)
    with timed() as clock, steps("DVC (its environment takes a minute, once)", quiet=json) as progress:
        paths = {}
        for name in names:
            progress(f"pull {name}")
            paths[name] = dvc.pull(bench.settings, name)
    emit(paths, json, lambda: done(f"data of {', '.join(names) or 'no model'} is here", clock()))


@app.command()
def push(models: Models = None, json: JsonFlag = False) -> None:
    """Send the data of models to the remote: the store's bucket for data, or a folder."""
    bench = Workbench()
    names = _with_data(bench, models)
    with timed() as clock, steps("DVC (its environment takes a minute, once)", quiet=json) as progress:
        paths = {}
        for name in names:
            progress(f"push {name}")
            paths[name] = dvc.push(bench.settings, name)
    text = f"data of {', '.join(names) or 'no model'} is in {bench.settings.data_location}"
    emit(paths, json, lambda: done(text, clock()))


def _chosen(bench: Workbench, models: list[str] | None) -> list[str]:
    return [bench.model(parse_model(name)).name for name in models or model_names(bench.settings.project)]


def _missing(bench: Workbench, models: list[str] | None, *, quiet: bool) -> list[str]:
    """Return the models whose data is not here; some ship it in a package of their environment, which is made first."""
    names = _chosen(bench, models)
    for found in dvc.status(bench.settings, names):
        if found.state == "missing":
            with steps(f"environment of {found.pointer.model}", quiet=quiet):
                ensure_environment(bench.settings, bench.model(found.pointer.model).lock)
    return [found.pointer.model for found in dvc.status(bench.settings, names) if found.state in ("missing", "changed")]


def _with_data(bench: Workbench, models: list[str] | None) -> list[str]:
    """Return the models that were named, or all that have a data.dvc."""
    names = _chosen(bench, models)
    return names if models else [found.pointer.model for found in dvc.status(bench.settings, names)]


def add_to(parent: typer.Typer) -> None:
    """Add this file's commands."""
    parent.add_typer(app, name="data", help="The data of models, kept by DVC.", rich_help_panel=PANEL)
