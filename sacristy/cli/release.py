"""test, approve, promote, rollback, release: from an image to a stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from sacristy.cli.arguments import ImageName, ModelName, StageName, Where, Why
from sacristy.cli.images import make, send
from sacristy.cli.printing import JsonFlag, cell, done, emit, out, short, steps, table, timed
from sacristy.cli.workbench import Workbench
from sacristy.errors import NotAccepted, PathNotWritable
from sacristy.images.registry import Registry
from sacristy.names import Reference, Stage, parse_run
from sacristy.operator.deployment import Deployment, deploy
from sacristy.release import approvals, evidence, promotion
from sacristy.release.acceptance import CHECKS, Trial, judge
from sacristy.release.examples import read_examples
from sacristy.release.verdict import Verdict, junit
from sacristy.targets.target import Image
from sacristy.tracking.runs import find_run

PANEL = "From image to stage"
Adopt = Annotated[bool, typer.Option("--adopt", help="Go on from where the stage was moved by hand.")]


def test(
    image: ImageName,
    against: Annotated[
        str, typer.Option(help="The stage whose current version it may not fall behind.")
    ] = "production",
    target: Where = None,
    report: Annotated[Path | None, typer.Option("--junit", help="Also write JUnit XML to this file.")] = None,
    json: JsonFlag = False,
) -> None:
    """Judge an image: start it, ask it everything, keep the verdict. Ends with 1 if it does not pass."""
    bench = Workbench()
    found, registry = bench.find(image)
    verdict = accept(bench, found, registry, against, target=target, quiet=json)
    if report:
        write_report(report, junit(verdict))
    emit(verdict.as_document(), json, lambda: show_verdict(verdict))
    if not verdict.passed:
        raise NotAccepted(image=found, reason=verdict.reason)


def approve(image: ImageName, stage: StageName, why: Why = "", json: JsonFlag = False) -> None:
    """Agree that an image goes to a stage, as a second person; the policy says how many must before production."""
    bench = Workbench()
    with timed() as clock:
        found = bench.pushed(image)
        approval = approvals.approve(bench.desk, found, stage, why)
    text = f"{approval['by']} approves of {found} {short(found.digest)} for {stage}"
    emit(approval, json, lambda: done(text, clock()))


def promote(
    image: ImageName,
    stage: StageName,
    why: Why = "",
    adopt: Adopt = False,
    then_deploy: Annotated[bool, typer.Option("--deploy", help="Also make it answer for the stage.")] = False,
    approved_by: Annotated[
        str, typer.Option("--approved-by", help="Also record the approval of somebody whom the build server asked.")
    ] = "",
    json: JsonFlag = False,
) -> None:
    """Move a stage to a pushed image that passed its acceptance test."""
    bench = Workbench()
    with timed() as clock:
        found = bench.pushed(image)
        if approved_by:
            approvals.approve(replace(bench.desk, user=approved_by), found, stage, why)
        event = promotion.promote(bench.desk, found, stage, why, adopt=adopt)
        text = f"{found.model}:{stage} now points at {found} {short(found.digest)}"
        if then_deploy:
            with steps(f"deploying {found.model}:{stage}", quiet=json) as progress:
                deployment = deploy(bench.yard_of(found.model, stage), found.model, stage, progress)
            text += f", which answers at {deployment.url}"
    emit(event, json, lambda: done(text, clock()))


def rollback(model: ModelName, stage: StageName, why: Why = "", json: JsonFlag = False) -> None:
    """Move a stage back to the version before, and deploy that."""
    bench = Workbench()
    with timed() as clock, steps(f"rolling {model}:{stage} back", quiet=json) as progress:
        event, deployment = back(bench, model, stage, why, progress)
    text = f"{model}:{stage} is back at {deployment.image} {short(deployment.image.digest)}"
    if event.get("resumed"):
        text += f"; this completes the rollback that {event['by']} began at {cell(event['at'])} and that was killed"
    emit({"event": event, "url": deployment.url, "parts": deployment.parts}, json, lambda: done(text, clock()))


def release(
    model: ModelName,
    run: Annotated[
        int | None,
        typer.Option(
            help="The run to release; the newest completed one if not given.", parser=parse_run, metavar="RUN"
        ),
    ] = None,
    why: Why = "",
    allow_dirty: Annotated[bool, typer.Option("--allow-dirty", help="Release a run of uncommitted work too.")] = False,
    json: JsonFlag = False,
) -> None:
    """Build, test, push, promote to staging and deploy there: what Jenkins does for a run, in one go."""
    bench = Workbench()
    with timed() as clock:
        image = to_staging(bench, model, run, why or "sacristy release", allow_dirty=allow_dirty, quiet=json)
    text = f"{image} is in staging; next: sacristy promote {image} production --why '...'"
    emit(image, json, lambda: done(text, clock()))


def back(
    bench: Workbench, model: str, stage: Stage, why: str, progress: Callable[[str], None]
) -> tuple[dict[str, Any], Deployment]:
    """Move a stage back and deploy what it was before; return the event and the deployment."""
    deployed: list[Deployment] = []
    event = promotion.rollback(
        bench.desk,
        model,
        stage,
        why,
        then=lambda: deployed.append(deploy(bench.yard_of(model, stage), model, stage, progress)),
    )
    return event, deployed[0]


def to_staging(
    bench: Workbench, model: str, run: int | None, why: str, *, allow_dirty: bool = False, quiet: bool
) -> Image:
    """Walk a run from its image to staging, printing each step."""
    built = make(bench, model, run, allow_dirty=allow_dirty, quiet=quiet)
    image, registry = bench.find(Reference(model, digest=built.digest))
    verdict = accept(bench, image, registry, Stage.PRODUCTION, quiet=quiet)
    if not quiet:
        show_verdict(verdict)
    if not verdict.passed:
        raise NotAccepted(image=image, reason=verdict.reason)
    send(bench, image, quiet=quiet)
    to_stage(bench, image, Stage.STAGING, why, quiet=quiet)
    return image


def to_stage(bench: Workbench, image: Image, stage: Stage, why: str, *, quiet: bool) -> Any:
    """Promote and deploy."""
    with steps(f"promoting {image} to {stage}", quiet) as progress:
        promotion.promote(bench.desk, image, stage, why)
        return deploy(bench.yard, image.model, stage, progress)


def accept(
    bench: Workbench, image: Image, registry: Registry, against: str, *, target: str | None = None, quiet: bool
) -> Verdict:
    """Judge an image against its gates and against the version that a stage has now, and keep the verdict."""
    bench.started(target)
    run = find_run(bench.database, image.run)
    rival = bench.rival(image, against)
    trial = Trial(
        image=image,
        target=bench.target(registry, target),
        gates=bench.model(image.model).file.gates,
        examples=read_examples(run, bench.store),
        cases=bench.settings.project / "tests" / "requests" / "invalid",
        rival=rival,
        rival_target=bench.target_for(rival, bench.registry, target) if rival else None,
    )
    with steps(f"testing {image}", quiet, total=len(CHECKS)) as progress:
        verdict = judge(trial, progress)
    evidence.record(bench.database, verdict, bench.settings.user)
    return verdict


def write_report(path: Path, text: str) -> None:
    """Write a report where it was asked for. Raises PathNotWritable."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PathNotWritable(path=path, reason=error.strerror) from None


def show_verdict(verdict: Verdict) -> None:
    """Print a verdict as a table."""
    rows = [(check.name, check.passed, check.measured, check.limit, check.reason) for check in verdict.checks]
    title = f"Acceptance of {verdict.model}:{verdict.version} {short(verdict.digest)}"
    table(title, ["check", "passed", "measured", "limit", "why not"], rows, "Nothing was checked.")
    verdict_line = "[green]passed[/]" if verdict.passed else "[red]not passed[/]"
    out.print(f"{verdict_line} in {verdict.took_s:.1f} s")


def add_to(app: typer.Typer) -> None:
    """Add this file's commands."""
    for command in (test, approve, promote, rollback, release):
        app.command(rich_help_panel=PANEL)(command)
