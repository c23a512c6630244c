"""train, runs, show: from a script to a run."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any

import typer

from sacristy.cli.arguments import ModelName
from sacristy.cli.cluster_training import train_on_cluster
from sacristy.cli.printing import JsonFlag, done, emit, fail, out, short, steps, table, timed
from sacristy.cli.trained import parent_of, run_left
from sacristy.cli.workbench import Workbench
from sacristy.commands import follow
from sacristy.environments import ensure_environment, is_ready
from sacristy.errors import RunNotArrived, SacristyError
from sacristy.names import parse_model, parse_run
from sacristy.project import Model
from sacristy.ranks import training_command
from sacristy.settings import Place
from sacristy.tracking.checkpoints import resume_environment
from sacristy.tracking.reproduce import continuing_words
from sacristy.tracking.runs import RunRecord, find_run, list_runs
from sacristy.tracking.series import outlines, read_metrics
from sacristy.tracking.sparkline import sparkline
from sacristy.tracking.variables import TOKEN

PANEL = "From script to run"


def train(
    context: typer.Context,
    model: ModelName,
    resume: Annotated[
        int | None,
        typer.Option(
            "--resume",
            help="Go on from this run's last checkpoint, with its configuration, as a new run that names it.",
            parser=parse_run,
            metavar="RUN",
        ),
    ] = None,
    on: Annotated[
        Place | None,
        typer.Option(
            "--on",
            help="here, or as a Job on the cluster: kubernetes. A Job trains what is committed. "
            "Else as the setting train_on says.",
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Train a model as a Sacred run. What follows the model is Sacred's own: with epochs=3, -c 'a comment'."""
    bench = Workbench()
    with timed() as clock:
        try:
            if (on or bench.settings.train_on) == Place.KUBERNETES:
                run = train_on_cluster(bench, bench.model(model), context.args, resume, quiet=json)
            else:
                words, extra = _continued(bench, model, resume, context.args) if resume else (context.args, {})
                run = run_training(bench, bench.model(model), words, extra, quiet=json)
        except RunNotArrived as error:  # nothing is lost, and the training went well
            fail(error)
            return
    text = f"run {run.id} of {model} is {run.status}; next: sacristy release {model} --run {run.id}"
    emit(run.document, json, lambda: done(text, clock()))


def _continued(bench: Workbench, model: str, parent: int, words: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the words and the environment of a training that goes on where a run stopped.

    It has the configuration of that run; what `words` say otherwise comes later and counts.
    """
    run = parent_of(bench, model, parent)
    return continuing_words(words, run.config), resume_environment(parent, run.document)


def run_training(
    bench: Workbench, model: Model, words: Sequence[str], extra: dict[str, str], *, quiet: bool
) -> RunRecord:
    """Run train.py in the model's environment, with its output shown, and return its run.

    Raises TrainingFailed with its exit code; the run, if one began, is kept whatever its end.
    """
    quick = is_ready(bench.settings, model.lock)
    with steps(f"environment of {model.name} (a minute, once per lock)", quiet or quick):
        python = ensure_environment(bench.settings, model.lock)
    token = secrets.token_hex(16)
    argv = training_command(python, model.folder / "train.py", words, model.file.ranks)
    environment = training_environment(bench, token) | extra
    code = follow(argv, folder=bench.settings.project, environment=environment, quiet=quiet)
    return run_left(bench, model.name, token, code)


def training_environment(bench: Workbench, token: str) -> dict[str, str]:
    """Return the environment variables of a training: this project's code and home, and a token to find the run by."""
    settings = bench.settings
    return os.environ | {
        "PYTHONPATH": str(settings.project),
        "PYTHONUNBUFFERED": "1",
        "SACRISTY_PROJECT": str(settings.project),
        "SACRISTY_HOME": str(settings.home),
        TOKEN: token,
    }


def runs(
    model: Annotated[str, typer.Option("--model", help="Only this model's.")] = "",
    status: Annotated[str, typer.Option("--status", help="Only these: COMPLETED, FAILED, RUNNING, DEAD...")] = "",
    tag: Annotated[str, typer.Option("--tag", help="Only those with this tag.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many of the newest.")] = 20,
    json: JsonFlag = False,
) -> None:
    """List runs, the newest first, with the curve of their main metric."""
    bench = Workbench()
    found = list_runs(bench.database, parse_model(model) if model else None, status or None, tag or None, limit)
    columns = ["run", "model", "status", "started", "result", "curve", "complete", "weights", "image", "stage"]
    columns += ["deployed", "commit"]

    def print_runs() -> None:
        lines = outlines(bench.database, [run.id for run in found])
        curves = [_curve(bench, run, lines.get(run.id, {})) for run in found]
        rows = [
            (
                run.id,
                run.model,
                run.status,
                run.started,
                _result(run),
                curve,
                run.complete,
                *_release(run),
                _commit(run),
            )
            for run, curve in zip(found, curves, strict=True)
        ]
        asked = any((model, status, tag))
        table("Runs", columns, rows, "No such run." if asked else "No run yet. Next: sacristy train MODEL")

    emit([run.document for run in found], json, print_runs)


def show(
    run: Annotated[int, typer.Argument(help="The run's number.", parser=parse_run, metavar="RUN")],
    metrics: Annotated[bool, typer.Option("--metrics", help="Every point of every metric.")] = False,
    json: JsonFlag = False,
) -> None:
    """Show one run: where it came from, what it logged, whether all of it arrived."""
    bench = Workbench()
    record = find_run(bench.database, run)
    series = read_metrics(bench.database, run) if metrics else {}
    points = {
        name: [list(point) for point in zip(line.steps, line.values, strict=True)] for name, line in series.items()
    }
    data = record.document | ({"metrics": points} if metrics else {})

    def print_run() -> None:
        rows = [
            ("model", record.model),
            ("status", record.status),
            ("started", record.started),
            ("stopped", record.stopped),
            ("complete", record.complete),
            ("not complete because", record.incomplete_because),
            ("points", _points(record)),
            ("commit", _commit(record)),
            ("data", (record.data or {}).get("digest")),
            ("lock", record.lock[:12]),
            ("config", record.config),
            ("result", record.result),
            ("continues run", _ours(record).get("parent")),
            ("repeats run", _ours(record).get("repeats")),
            ("ranks", _ours(record).get("ranks")),
            ("trained on", _job(record)),
            *zip(("weights", "image", "stage", "deployed"), _release(record), strict=True),
        ]
        table(f"Run {record.id}", ["", ""], [row for row in rows if row[1] not in (None, "")], "")
        files = [(file.name, file.role, f"{file.size:,}", file.digest) for file in record.weights]
        table("Weights", ["file", "role", "bytes", "digest"], files, "No weights.")
        for name, line in points.items():
            out.print(f"{name}", markup=False)
            for step, value in line:
                out.print(f"  {step}\t{value}", markup=False)

    emit(data, json, print_run)


def _result(run: RunRecord) -> str:
    if not isinstance(run.result, dict):
        return "" if run.result is None else str(run.result)
    return " ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in run.result.items()
    )


def _release(run: RunRecord) -> tuple[str, str, str, str]:
    """Return what Omniboard's columns show of a run: weights, image, stages, where it is deployed."""
    ours = _ours(run)
    verdict, deployed = ours.get("acceptance") or {}, ours.get("deployments") or {}
    size = sum(file.size for file in run.weights)
    image = f"{verdict['version']} {short(verdict['digest'])}" if verdict else ""
    if verdict and not verdict["passed"]:
        image += " not accepted"
    places = [f"{stage}: {place.get('state')}" for stage, place in sorted(deployed.items())]
    return f"{size:,} B" if size else "", image, ", ".join(ours.get("stage") or ()), ", ".join(places)


def _points(run: RunRecord) -> str:
    """Return how many points arrived, of how many that the journal holds; empty for a run of plain Sacred."""
    journal = _ours(run).get("journal") or {}
    return f"{journal.get('arrived', 0):,} of {journal['points']:,} arrived" if "points" in journal else ""


def _job(run: RunRecord) -> str:
    """Return where on a cluster a run was trained; empty for one that was not."""
    job = _ours(run).get("job") or {}
    return f"node {job['node']}, Job {job['name']}, {job['image']}" if job else ""


def _ours(run: RunRecord) -> dict[str, Any]:
    return run.document.get("sacristy") or {}


def _commit(run: RunRecord) -> str:
    return run.commit[:10] + ("+changes" if run.dirty else "")


def _curve(bench: Workbench, run: RunRecord, lines: Mapping[str, Sequence[float]]) -> str:
    return sparkline(lines.get(_main_metric(bench, run.model)) or next(iter(lines.values()), ()))


def _main_metric(bench: Workbench, model: str) -> str:
    with suppress(SacristyError):  # a run's model may be gone by now
        return bench.model(model).file.main_metric
    return ""


def add_to(app: typer.Typer) -> None:
    """Add this file's commands."""
    own_words = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command(rich_help_panel=PANEL, context_settings=own_words)(train)
    for command in (runs, show):
        app.command(rich_help_panel=PANEL)(command)
