"""jenkins sync, build, promote, approve, abort, status, watch: the way from a commit or a run to production."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from sacristy.automation import approvals
from sacristy.automation.client import job_path, open_client
from sacristy.automation.following import Say, wait_for_build
from sacristy.automation.following import follow as follow_build
from sacristy.automation.jobs import ALLOW_LOCAL, PROMOTE, full_name, is_local, wanted_jobs
from sacristy.automation.survey import JobState, running, survey
from sacristy.automation.sync import Plan, Verb, apply, look, plan
from sacristy.automation.triggering import new_key, trigger
from sacristy.automation.watcher import Watcher
from sacristy.cli.arguments import ImageName, ModelName, StageName, Why
from sacristy.cli.printing import JsonFlag, done, emit, out, say, steps, table, timed
from sacristy.cli.workbench import Workbench
from sacristy.names import parse_model, parse_run
from sacristy.release import promotion

PANEL = "The build server"
Build = Annotated[int | None, typer.Option("--build", min=1, help="Which build; the newest that fits if not given.")]
Reason = Annotated[str, typer.Option("--why", help="The reason, kept in the audit trail.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Print the log, and end with the build's result.")]
Key = Annotated[str, typer.Option("--key", help="A key that was used before never starts a second build.")]

app = typer.Typer(help="Jenkins: jobs from models/, builds, approvals, release by tag.", no_args_is_help=True)


@app.command()
def sync(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what differs.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Remove jobs of models that are gone without asking.")
    ] = False,
    adopt: Annotated[bool, typer.Option("--adopt", help="Take over jobs of the same names that others made.")] = False,
    json: JsonFlag = False,
) -> None:
    """Make Jenkins' jobs equal to the repository: one for each model, and one that promotes."""
    bench = Workbench()
    settings = bench.settings
    with timed() as clock:
        client, folder = open_client(settings), settings.jenkins_folder
        if is_local(settings.repository):
            say(f"{settings.repository} is on a disk: Jenkins refuses it unless it was started with {ALLOW_LOCAL}")
        wanted = plan(folder, wanted_jobs(settings), look(client, folder), adopt=adopt)
        if not json:
            _show_plan(wanted)
        if not dry_run:
            gone = wanted.removed()
            if gone and not yes and not typer.confirm(f"Remove {', '.join(gone)} with all builds?", err=True):
                raise typer.Abort
            with steps(f"Jenkins at {client.url}", quiet=json) as progress:
                apply(client, wanted, progress)
    counts = ", ".join(f"{sum(step.verb is verb for step in wanted.steps)} to {verb}" for verb in Verb)
    did = "nothing differs" if wanted.is_empty else counts if dry_run else f"jobs are equal to the repository: {counts}"
    emit(wanted, json, lambda: done(did, clock()))


@app.command()
def build(
    model: ModelName,
    run: Annotated[
        int | None,
        typer.Option(help="The run to release; a new one is trained if not given.", parser=parse_run, metavar="RUN"),
    ] = None,
    why: Reason = "",
    follow: Follow = False,
    key: Key = "",
    json: JsonFlag = False,
) -> None:
    """Start a model's job, once. With --follow it ends with 0 for SUCCESS, 1 FAILURE, 3 UNSTABLE, 4 ABORTED."""
    bench = Workbench()
    bench.model(model)
    given = {"MODEL": model, "RUN": str(run or ""), "WHY": why}
    _start(bench, full_name(bench.settings, model), given, key, follow=follow, json=json)


@app.command()
def promote(
    image: ImageName,
    stage: StageName,
    why: Why = "",
    follow: Follow = False,
    key: Key = "",
    json: JsonFlag = False,
) -> None:
    """Start the job that moves a stage to an image that passed its test. Production waits for an approval there.

    It is answered with `sacristy jenkins approve promote`. With --follow it ends as `build` does.
    """
    bench = Workbench()
    bench.model(image.model)
    promotion.require_why(image.model, stage, why)
    given = {"IMAGE": str(image), "STAGE": str(stage), "WHY": why}
    _start(bench, full_name(bench.settings, PROMOTE), given, key, follow=follow, json=json)


@app.command()
def approve(
    model: ModelName,
    build: Build = None,
    why: Reason = "",
    refuse: Annotated[bool, typer.Option("--refuse", help="Do not let it go on: it ends as ABORTED.")] = False,
    json: JsonFlag = False,
) -> None:
    """Answer a build that waits for a word before production."""
    bench = Workbench()
    with timed() as clock:
        client = open_client(bench.settings)
        question = approvals.choose(client, full_name(bench.settings, model), build)
        if refuse:
            approvals.refuse(client, question)
        else:
            approvals.approve(client, question, {"REASON": why})
    did = "refused" if refuse else "approved"
    emit({"answer": did, "question": question}, json, lambda: done(f"{did} {question.job} #{question.build}", clock()))


@app.command()
def abort(model: ModelName, build: Build = None, json: JsonFlag = False) -> None:
    """Stop a build."""
    bench = Workbench()
    with timed() as clock:
        client, job = open_client(bench.settings), full_name(bench.settings, model)
        number = build or running(client, job)
        approvals.abort(client, job, number)
    emit({"job": job, "build": number}, json, lambda: done(f"{job} #{number} is told to stop", clock()))


@app.command()
def status(
    model: Annotated[str, typer.Argument(help="Only this model's job.", metavar="[MODEL]")] = "", json: JsonFlag = False
) -> None:
    """Show each job's newest build, and what it waits for."""
    bench = Workbench()
    wanted = parse_model(model) if model else ""
    client = open_client(bench.settings)
    found = [state for state in survey(client, bench.settings.jenkins_folder) if wanted in ("", state.job)]
    emit(found, json, lambda: _show_states(found))


@app.command()
def watch(
    once: Annotated[bool, typer.Option("--once", help="Look once at all tagged runs, and end.")] = False,
    json: JsonFlag = False,
) -> None:
    """Release the runs that scientists tag `release` in Omniboard, until ended."""
    bench = Workbench()
    with timed() as clock:
        watcher = Watcher(bench.settings, bench.database, bench.store, open_client(bench.settings), _quiet_or_say(json))
        if not once:
            watcher.run()
            return
        handled = watcher.reconcile()
    text = f"{len(handled)} tagged runs were looked at"
    emit(handled, json, lambda: done(text, clock()))


def _start(bench: Workbench, job: str, given: Mapping[str, str], key: str, *, follow: bool, json: bool) -> None:
    """Start a job once, and follow it where that is wanted: then its result is the exit code."""
    client = open_client(bench.settings)
    with timed() as clock:
        ticket = trigger(client, job, given, key or new_key(), fresh=not key)
        number = wait_for_build(client, ticket, _quiet_or_say(json))
        url = f"{client.url}/{job_path(job)}/{number}/"
        facts = {"job": job, "build": number, "url": url, "key": ticket.key, "started_before": ticket.found}
        if not follow:
            emit(facts, json, lambda: done(f"{job} #{number} was started: {url}", clock()))
            return
        ended = follow_build(client, job, number, _write_to(json), say)
    emit(facts | {"result": ended.result}, json, lambda: done(f"{job} #{number} ended: {ended.result} {url}", clock()))
    if ended.exit_code:
        raise typer.Exit(ended.exit_code)


def _show_plan(wanted: Plan) -> None:
    if wanted.make_folder:
        out.print(f"create folder {wanted.folder}", markup=False)
    for step in wanted.steps:
        out.print(f"{step.verb} {wanted.folder}/{step.name}", markup=False)
        for line in step.lines:
            out.print(f"  {line}", markup=False)


def _show_states(found: list[JobState]) -> None:
    columns = ["job", "build", "run", "state", "waits for", "", "link"]
    rows = [
        (
            state.job,
            state.build,
            state.run,
            "runs" if state.building else state.result.lower(),
            state.waits_for,
            state.description,
            state.url,
        )
        for state in found
    ]
    table("Jobs", columns, rows, "No job. Next: sacristy jenkins sync")


def _quiet_or_say(quiet: bool) -> Say:
    return (lambda _: None) if quiet else say


def _write_to(json: bool) -> Say:
    """The log is the result; with --json it goes beside it."""
    stream = sys.stderr if json else sys.stdout

    def write(text: str) -> None:
        stream.write(text)
        stream.flush()

    return write


def add_to(parent: typer.Typer) -> None:
    """Add this file's commands."""
    parent.add_typer(app, name="jenkins", rich_help_panel=PANEL)
