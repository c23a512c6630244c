"""stats: what the gateway counted of a model's predictions and feedback."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sacristy.cli.arguments import ModelName
from sacristy.cli.printing import JsonFlag, emit, out, table
from sacristy.cli.workbench import Workbench
from sacristy.gateway.statistics import statistics
from sacristy.names import Stage, Version, parse_version

PANEL = "From stage to answer"
COLUMNS = ("version", "answered", "refused", "failed", "p50 ms", "p95 ms", "p99 ms", "agreement", "of", "labels")


def stats(
    model: ModelName,
    stage: Annotated[Stage, typer.Option("--stage", help="staging or production.")] = Stage.PRODUCTION,
    hours: Annotated[float, typer.Option(help="Of how many hours until now.", min=0.02)] = 24.0,
    a: Annotated[
        Version | None, typer.Option("--a", help="Compare this version ...", parser=parse_version, metavar="VERSION")
    ] = None,
    b: Annotated[
        Version | None, typer.Option("--b", help="... with this one.", parser=parse_version, metavar="VERSION")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Show volume, latency, label shares and agreement with feedback by version, and compare two of them."""
    bench = Workbench()
    bench.model(model)
    versions = (str(a), str(b)) if a and b else None
    found = statistics(bench.database, model, stage, hours, versions)
    emit(found, json, lambda: _show(found))


def difference(of: dict[str, Any], unit: str = "") -> str:
    """Return a difference with its interval as people read it."""
    if of["difference"] is None:
        return f"nothing to compare yet ({of['n_a']} and {of['n_b']})"
    values = f"{of['a']:.4g} and {of['b']:.4g}{unit} (of {of['n_a']} and {of['n_b']})"
    if of["low"] is None:
        return values
    verdict = "no difference shown" if of["low"] <= 0 <= of["high"] else "they differ"
    return f"{values}: {of['difference']:+.4g}, 95 % {of['low']:+.4g} to {of['high']:+.4g}; {verdict}"


def _show(found: dict[str, Any]) -> None:
    rows = [_row(version, each) for version, each in found["versions"].items()]
    title = f"{found['model']}:{found['stage']} since {found['since']:%Y-%m-%d %H:%M} UTC"
    table(title, COLUMNS, rows, "Nothing was predicted in that time. Next: sacristy predict MODEL")
    comparison = found["comparison"]
    if comparison:
        out.print(f"\nVersion {comparison['a']} and version {comparison['b']}", markup=False)
        out.print(f"  failures   {difference(comparison['failures'])}", markup=False)
        out.print(f"  agreement  {difference(comparison['agreement'])}", markup=False)
        out.print(f"  latency    {difference(comparison['latency_ms'], ' ms')}", markup=False)


def _row(version: str, each: dict[str, Any]) -> tuple[Any, ...]:
    latency, agreement = each["latency_ms"], each["agreement"]
    labels = ", ".join(f"{label} {count['share']:.0%}" for label, count in list(each["labels"].items())[:5])
    counts = (version, each["requests"], each["refused"], each["failed"])
    return (*counts, latency["p50"], latency["p95"], latency["p99"], agreement["value"], agreement["n"], labels)


def add_to(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command(rich_help_panel=PANEL)(stats)
