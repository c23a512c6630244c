"""diff: what lies between two versions of a model."""

from __future__ import annotations

from typing import Annotated

import typer

from sacristy.cli.arguments import ModelName
from sacristy.cli.printing import JsonFlag, cell, emit, out, table
from sacristy.cli.workbench import Workbench
from sacristy.names import parse_reference
from sacristy.release.difference import Difference, Place, compare

PANEL = "From image to stage"
MOST_LINES, LONGEST_LINE = 60, 200  # of a text that has to fit into a question
WHICH = "A stage, a version, or a digest (sha256:...)."


def diff(
    model: ModelName,
    first: Annotated[str, typer.Argument(help=WHICH, metavar="A")],
    second: Annotated[str, typer.Argument(help=WHICH, metavar="B")],
    json: JsonFlag = False,
) -> None:
    """Show what differs between two images of a model: code, data, configuration, weights, packages, scores, sizes."""
    bench = Workbench()
    one, two = (_place(bench, model, text) for text in (first, second))
    found = compare(bench.settings.project, bench.database, one, two)
    emit(found, json, lambda: _show(found))


def _place(bench: Workbench, model: str, text: str) -> Place:
    mark = "@" if text.startswith("sha256:") else ":"
    return Place(*bench.find(parse_reference(f"{model}{mark}{text}")))


def _show(found: Difference) -> None:
    title = f"{found.first} and {found.second}"
    table(title, ["part", "name", str(found.first), str(found.second)], list(found.rows()), "Nothing differs.")
    if found.code.between is not None:
        lines = sum(file.added + file.removed for file in found.code.files)
        out.print(f"{found.code.between} commits apart; {len(found.code.files)} files and {lines} lines of the image")


def as_text(found: Difference) -> str:
    """Return the same as plain text, a line for each thing that differs, as whoever approves reads it."""
    lines = [f"{found.first} -> {found.second}"]
    lines += [f"{part} {name}: {cell(first)} -> {cell(second)}" for part, name, first, second in found.rows()]
    if len(lines) > MOST_LINES:
        more = f"and {len(lines) - MOST_LINES} lines more: sacristy diff {found.first.model} {found.first.version} ..."
        lines = [*lines[:MOST_LINES], more]
    return "\n".join(line[:LONGEST_LINE] for line in lines) + "\n"


def add_to(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command(rich_help_panel=PANEL)(diff)
