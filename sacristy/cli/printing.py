"""How commands print: tables and progress for people, JSON for programs, one line for a known failure."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from sacristy.errors import SacristyError
from sacristy.names import Version

JsonFlag = Annotated[
    bool,
    typer.Option(
        "--json", help='Print JSON instead of a table; what JSON has no number for is "NaN", "Infinity", "-Infinity".'
    ),
]

WIDE = 240  # where output is no terminal, lines are not folded: grep finds whole words

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def emit(data: Any, as_json: bool, show: Callable[[], None]) -> None:
    """Print data as JSON, or let `show` print it for people."""
    if as_json:
        options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS
        sys.stdout.write(orjson.dumps(spelled(data), option=options, default=_plain).decode() + "\n")
    else:
        show()


def spelled(data: Any) -> Any:
    """Return data with NaN and infinities as words, which JSON would otherwise show as null, like a missing value."""
    if isinstance(data, float):
        return data if math.isfinite(data) else json.dumps(data)
    if isinstance(data, dict):
        return {name: spelled(value) for name, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [spelled(item) for item in data]
    return data


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], empty: str) -> None:
    """Print rows below column names, or `empty` where there are none. Cells are shown as they are, not as markup."""
    rows = list(rows)
    if not rows:
        out.print(empty)
        return
    grid = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*(cell(value) for value in row))
    out.print(grid)


def cell(value: Any) -> str:
    """Return a value as a table shows it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "[green]yes[/]" if value else "[red]no[/]"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return escape(str(value))


def short(digest: str | None) -> str:
    """Return a digest as tables show it: its first 12 hexadecimal digits."""
    return digest.removeprefix("sha256:")[:12] if digest else ""


def say(text: str) -> None:
    """Print a line of progress for people; on the error stream, so that pipes get results only."""
    err.print(escape(text))


def done(text: str, took_s: float) -> None:
    """Print what a command did and how long it took."""
    err.print(f"[green]✓[/] {escape(text)} [dim]({took_s:.1f} s)[/]")


@contextmanager
def steps(text: str, quiet: bool = False, total: int | None = None) -> Iterator[Callable[[str], None]]:
    """Show what long work is at: a bar on a terminal, plain lines elsewhere, nothing if `quiet`.

    Each line that is told is a step; with `total` the bar shows how many are left.
    """
    if quiet:
        yield lambda _: None
    elif err.is_terminal:
        bar = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=30), TimeElapsedColumn())
        with Progress(*bar, console=err, transient=True) as progress:
            task = progress.add_task(escape(text), total=total)
            yield lambda line: progress.update(task, description=escape(line), advance=1)
    else:
        say(text)
        yield say


@contextmanager
def timed() -> Iterator[Callable[[], float]]:
    """Give a function that returns the seconds since the block began."""
    start = time.monotonic()
    yield lambda: time.monotonic() - start


def fail(error: SacristyError) -> None:
    """Print a known failure: its details, then one line with what happened and what to do next."""
    if error.detail:
        err.print(escape(error.detail), style="dim")
    advice = f" → {escape(error.advice)}" if error.advice else ""
    err.print(f"[red]error:[/] {escape(str(error))}{advice}")


def _plain(value: Any) -> Any:
    """Records as objects; names (a version, a path, an id) as people write them."""
    if is_dataclass(value) and not isinstance(value, Version):
        return spelled({field.name: getattr(value, field.name) for field in fields(value)})
    return str(value)
