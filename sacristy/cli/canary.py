"""canary: the version beside a stage's own; and how `deploy --canary` starts it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sacristy.cli.arguments import ModelName, Why
from sacristy.cli.printing import JsonFlag, done, emit, out, short, steps, timed
from sacristy.cli.statistics import difference
from sacristy.cli.workbench import Workbench
from sacristy.errors import CanaryEnded, NothingBeside
from sacristy.gateway.statistics import beside
from sacristy.model_file import Canary
from sacristy.names import Reference, Stage, Version
from sacristy.operator.canary import Percents, last_end, put_beside, take_away
from sacristy.operator.deployment import current, deploy
from sacristy.release import promotion
from sacristy.targets.routes import Route, ShareKind

PANEL = "From stage to answer"


def canary(
    model: ModelName,
    stage: Annotated[Stage, typer.Option("--stage", help="staging or production.")] = Stage.PRODUCTION,
    promote: Annotated[bool, typer.Option("--promote", help="Move the stage to it; it runs already.")] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Stop it; the stage's own version answers all.")] = False,
    why: Why = "",
    json: JsonFlag = False,
) -> None:
    """Compare the version beside a stage's own with that one; then promote or drop it.

    sacristy deploy MODEL --canary 10 starts one.
    """
    if promote and drop:
        raise typer.BadParameter("say --promote or --drop, not both")
    bench = Workbench()
    route = current(bench.yard, model, stage)
    if route is None or not route.shares:
        raise _nothing_beside(bench, model, stage)
    if promote:
        _promote(bench, model, stage, route, why, json)
    elif drop:
        with timed() as clock:
            versions = take_away(bench.yard, model, stage, why)
        text = f"{model}:{', '.join(versions)} no longer runs beside {stage}"
        emit({"dropped": versions}, json, lambda: done(text, clock()))
    else:
        found = beside(bench.database, model, stage, route)
        limits = bench.model(model).file.canary
        emit(found, json, lambda: _show(found, limits))


def start_beside(
    bench: Workbench,
    model: str,
    stage: Stage,
    target: str | None,
    percents: Percents,
    version: Version | None,
    why: str,
    quiet: bool,
) -> None:
    """Start a version (None: staging's) beside a stage's own, and say so."""
    wanted = Reference(model, version=version) if version else Reference(model, stage=Stage.STAGING)
    image = bench.pushed(wanted)
    with timed() as clock, steps(f"starting {image} beside {stage}", quiet) as progress:
        route = put_beside(bench.yard_on(target), image, stage, percents, why, progress)
    shares = ", ".join(f"{kind} of {percent:g} %" for kind, percent in percents.items())
    text = f"{image} is a {shares} of {model}:{stage}; next: sacristy canary {model}"
    data = {"image": image, "stage": stage, "url": route.url, "percents": percents}
    emit(data, quiet, lambda: done(text, clock()))


def _promote(bench: Workbench, model: str, stage: Stage, route: Route, why: str, quiet: bool) -> None:
    share = next(iter(route.shares.values()))
    image = bench.pushed(Reference(model, digest=share.route.digest))
    with timed() as clock, steps(f"promoting {image} to {stage}", quiet) as progress:
        event = promotion.promote(bench.desk, image, stage, why)
        deployment = deploy(bench.yard_on(share.route.target), model, stage, progress)
    text = f"{image} answers for all of {model}:{stage}"
    emit({"event": event, "url": deployment.url, "parts": deployment.parts}, quiet, lambda: done(text, clock()))


def _nothing_beside(bench: Workbench, model: str, stage: Stage) -> NothingBeside:
    """Return the error; with what became of the one before, and why."""
    last = last_end(bench.yard, model, stage)
    if last is None:
        return NothingBeside(model=model, stage=stage)
    reason = f": {last['reason']}" if last["reason"] else ""
    return CanaryEnded(model=model, stage=stage, version=last["version"], ended=last["state"], reason=reason)


def _show(found: dict[str, Any], limits: Canary) -> None:
    out.print(f"{found['model']}:{found['stage']} is version {found['version']} {short(found['digest'])}", markup=False)
    for kind in ShareKind:
        share = found[kind]
        if not share:
            continue
        what = f"{kind} of {share['percent']:g} %: version {share['version']} {short(share['digest'])}"
        out.print(f"\n{what}; both were asked the same {share['requests']} times", markup=False)
        out.print(f"  agreement  {_share(share['agreement'])}", markup=False)
        out.print(f"  failures   {difference(share['failures'])}", markup=False)
        out.print(f"  latency    {difference(share['latency_ms'], ' ms')}", markup=False)
    if found["canary"] and limits.window_s:
        after = f"{limits.window_s} s and {limits.min_requests} requests or more"
        out.print(f"\nthe operator promotes or withdraws the canary, after {after}", markup=False)


def _share(of: dict[str, Any]) -> str:
    if not of["n"]:
        return "nothing to compare yet"
    return f"{of['value']:.2%} of {of['n']} predictions, 95 % {of['low']:.2%} to {of['high']:.2%}"


def add_to(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command(rich_help_panel=PANEL)(canary)
