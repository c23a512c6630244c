"""A bar of bytes on a terminal; a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from sacristy.cli.printing import err, say
from sacristy.weights.store import silent

PLAIN_EVERY_S = 5.0
MIB = 1 << 20


@contextmanager
def bytes_bar(text: str, total: int | None, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """Give a function to be called with the bytes done since the last call, from any thread."""
    if quiet:
        yield silent
    elif err.is_terminal:
        named = TextColumn("{task.description}", markup=False)
        columns = (named, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=err, transient=True) as bar:
            task = bar.add_task(text, total=total)
            yield lambda count: bar.update(task, advance=count)
    else:
        yield _plain(text, total)


def _plain(text: str, total: int | None) -> Callable[[int], None]:
    done, said = 0, time.monotonic()

    def advance(count: int) -> None:
        nonlocal done, said
        done += count
        if time.monotonic() - said >= PLAIN_EVERY_S:
            said = time.monotonic()
            say(f"{text}: {done // MIB} of {total // MIB if total else '?'} MiB")

    return advance
