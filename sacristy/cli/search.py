"""search: many trainings of a model with different configurations, the bad ones stopped early."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.table import Table

from sacristy.cli.arguments import ModelName
from sacristy.cli.printing import JsonFlag, cell, done, emit, err, say, steps, timed
from sacristy.cli.workbench import Workbench
from sacristy.environments import ensure_environment, is_ready
from sacristy.errors import InvalidSearch
from sacristy.names import parse_run
from sacristy.project import Model
from sacristy.search.driving import search_lock
from sacristy.search.history import find_search, read_trials, root_of, settle
from sacristy.search.plan import make_plan, plan_of
from sacristy.search.running import Outcome, Search, Watch
from sacristy.search.trials import Trial, Trials
from sacristy.turns import turn

PANEL = "From script to run"
TRIALS, PARALLEL, SEED = 20, 2, 1
ROWS = 12
WAIT_S = 2.0


class Sampler(StrEnum):
    """How values are drawn, and whether bad trials are stopped early."""

    ASHA = "asha"
    OPTUNA = "optuna"
    RANDOM = "random"


def search(
    context: typer.Context,
    model: ModelName,
    trials: Annotated[
        int | None, typer.Option("--trials", "-n", min=1, help="How many trials in all; 20 if not given.")
    ] = None,
    parallel: Annotated[int, typer.Option("--parallel", "-j", min=1, help="How many at once.")] = PARALLEL,
    sampler: Annotated[
        Sampler,
        typer.Option(help="asha: random, bad ones stopped early; optuna: learned from the last, as well; random."),
    ] = Sampler.ASHA,
    seed: Annotated[int, typer.Option(help="The same seed draws the same trials.", min=0)] = SEED,
    vary: Annotated[
        list[str] | None,
        typer.Option(help="lr=1e-4..0.1:log, width=2..8 or decay=0,0.1,0.3, instead of model.toml's; repeatable."),
    ] = None,
    resume: Annotated[
        int | None,
        typer.Option("--resume", help="Go on with this search, as it was begun.", parser=parse_run, metavar="RUN"),
    ] = None,
    address: Annotated[
        str, typer.Option(help="A Ray cluster: ray://host:10001, host:6379 or auto; else Ray starts here.")
    ] = "",
    json: JsonFlag = False,
) -> None:
    """Search for a better configuration: each trial a run, the best tagged. What follows the model is Sacred's own.

    Whatever ends it, the trials are kept: --resume goes on with what is missing.
    """
    bench = Workbench()
    chosen = bench.model(model)
    options: dict[str, Any] = {"sampler": str(sampler), "seed": seed, "varied": vary or [], "words": context.args}
    with timed() as clock:
        if resume:
            prepared = resumed(bench, chosen, resume, trials)
        else:
            plan = make_plan(chosen, trials=trials or TRIALS, **options)
            prepared = Search(bench.settings, bench.database, plan, parallel, address, Trials(plan.mode))
        prepared = replace(prepared, parallel=parallel, address=address)
        outcome = run(bench, chosen, prepared, quiet=json)
    emit(summary(outcome), json, lambda: tell(model, outcome, clock()))


def resumed(bench: Workbench, model: Model, number: int, trials: int | None) -> Search:
    """Return a search that goes on: what its runs know, and what is missing.

    Raises UnknownRun, NoSearch, SearchRunning, or InvalidSearch if nothing is missing.
    """
    document = find_search(bench.database, model.name, number)
    plan, root = plan_of(document), root_of(document)
    plan = replace(plan, trials=trials or plan.trials)
    settle(bench.database, root)
    known = read_trials(bench.database, root, plan.metric, plan.mode)
    if not known.unfinished() and len(known.over()) >= plan.trials:
        reason = f"all of its {len(known.over())} trials are over; give more with --trials"
        raise InvalidSearch(where=f"search {number}", reason=reason)
    return Search(bench.settings, bench.database, plan, PARALLEL, "", known, root, number)


def run(bench: Workbench, model: Model, prepared: Search, *, quiet: bool) -> Outcome:
    """Make the environments, and run the search with its progress shown."""
    for name, lock in ((model.name, model.lock), ("searches", search_lock(bench.settings))):
        with steps(f"environment of {name} (a minute, once per lock)", quiet or is_ready(bench.settings, lock)):
            ensure_environment(bench.settings, lock)
    bench.settings.home.mkdir(parents=True, exist_ok=True)
    with shown(prepared.plan.metric, prepared.plan.trials, quiet=quiet) as watch:
        if prepared.root is None:
            return prepared.run(watch)
        with turn(bench.settings.home / f"search-{prepared.root}.lock", f"search {prepared.root}", longest_s=WAIT_S):
            return prepared.run(watch)


@contextmanager
def shown(metric: str, total: int, *, quiet: bool) -> Iterator[Watch]:
    """Show trials as they go: a table on a terminal, a line for each that ends elsewhere."""
    if quiet:
        yield lambda *_: None
    elif err.is_terminal:
        with Live(console=err, refresh_per_second=4) as live:
            yield lambda trials, _: live.update(progress(trials, metric, total))
    else:
        yield lambda trials, trial: None if trial.status == "RUNNING" else say(line(trials, trial, metric, total))


def progress(trials: Trials, metric: str, total: int) -> Table:
    """Return the table of a search: those that run, then the best of the others."""
    every = list(trials.by_number.values())
    ranked = trials.best(len(every))
    running = [trial for trial in every if trial.status == "RUNNING"]
    others = [trial for trial in every if trial not in ranked and trial not in running]
    names = sorted({name for trial in every for name in trial.values})
    title = f"{len(trials.over())} of {total} trials over, {trials.count('STOPPED')} of them stopped early"
    grid = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in ("trial", "run", "status", "points", metric, *names):
        grid.add_column(column)
    for trial in [*running, *ranked, *reversed(others)][:ROWS]:
        values = [trial.values.get(name) for name in names]
        row = (trial.number, trial.run, trial.status, len(trial.points), trial.value, *values)
        grid.add_row(*(cell(value) for value in row))
    return grid


def line(trials: Trials, trial: Trial, metric: str, total: int) -> str:
    """Return what became of one trial, in a line."""
    values = " ".join(f"{name}={value}" for name, value in trial.values.items())
    value = "none" if trial.value is None else f"{trial.value:.4g}"
    why = f": {trial.reason}" if trial.reason else ""
    place = f"{len(trials.over())}/{total}"
    return f"{place} trial {trial.number} (run {trial.run}) {trial.status}, {metric} {value}, {values}{why}"


def summary(outcome: Outcome) -> dict[str, Any]:
    """Return a search as JSON."""
    return {"search": outcome.run, "best": outcome.best, "trials": outcome.trials.plain()}


def tell(model: str, outcome: Outcome, took_s: float) -> None:
    """Say what a search found, and what to do next."""
    trials, best = outcome.trials, outcome.trials.best(1)[0]
    values = " ".join(f"{name}={value}" for name, value in best.values.items())
    counts = f"{len(trials.by_number)} trials, {trials.count('STOPPED')} stopped early, {trials.count('FAILED')} failed"
    found = f"best is run {best.run} with {best.value:.4g} ({values})"
    done(f"search {outcome.run}: {counts}; {found}; next: sacristy release {model} --run {best.run}", took_s)


def add_to(app: typer.Typer) -> None:
    """Add this file's command."""
    own_words = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command(rich_help_panel=PANEL, context_settings=own_words)(search)
