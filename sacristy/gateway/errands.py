"""Commands that a page ordered: carried out by a process of their own, whose lines and end any worker can show.

A folder for each, named by the form that ordered it: sending a form twice orders once. `errand.json` is what it is,
`log` what the commands printed, `ended.json` how it ended. The process outlives the gateway's workers, and the commands
themselves may be killed at any point (release/moves.py).
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import psutil

from sacristy.commands import detach
from sacristy.errors import InvalidName, UnknownErrand
from sacristy.gateway.orders import Order, Words
from sacristy.processes import after_boot_s
from sacristy.settings import Settings

ID = re.compile(r"[0-9a-f]{32}")
WHAT, LOG, RUNNER, ENDED = "errand.json", "log", "runner.json", "ended.json"
KEPT = 100
SHOWN_BYTES = 16 << 10
STARTS_WITHIN_S = 20.0
State = Literal["running", "done", "failed", "lost"]


@dataclass(frozen=True)
class Errand:
    """What was ordered. `commands`: words after `sacristy`; `by`: the token's name; `at`: ISO 8601."""

    id: str
    title: str
    model: str
    stage: str
    by: str
    at: str
    commands: list[Words]


@dataclass(frozen=True)
class Report:
    """How it stands. `lost`: its process is gone and said nothing; what its commands do can be repeated."""

    errand: Errand
    state: State
    lines: list[str]
    took_s: float | None


def spoken(order: Order) -> list[Words]:
    """Return an order's commands as a person would give them: with lines instead of JSON. Raises InvalidName."""
    return [[word for word in words if word != "--json"] for words in order.commands()]


def begin(settings: Settings, identity: str, title: str, order: Order, by: str) -> Errand:
    """Have an order carried out, once for each identity, and return at once. Raises InvalidName or ProgramMissing."""
    folder = _folder(settings, identity)
    commands = spoken(order)
    model, stage = commands[0][1].partition(":")[0], str(order.stage)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    errand = Errand(identity, title, model, stage, by, now, commands)
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return _begun(settings, identity) or errand
    write(folder / WHAT, asdict(errand))
    argv = [sys.executable, "-m", "sacristy.gateway.errand_runner", str(folder)]
    detach(argv, folder=settings.project, environment=_environment(settings, by), log=folder / LOG)
    _forget(folder.parent)
    return errand


def report(settings: Settings, identity: str) -> Report:
    """Return how an errand stands. Raises InvalidName or UnknownErrand."""
    folder = _folder(settings, identity)
    try:
        errand = Errand(**json.loads((folder / WHAT).read_text()))
    except (OSError, ValueError, TypeError):
        raise UnknownErrand(id=identity) from None
    ended = _read(folder / ENDED)
    state: State = "running" if ended is None else "failed" if ended["code"] else "done"
    if state == "running" and not _lives(folder):
        state = "lost"
    return Report(errand, state, _last_lines(folder / LOG), ended["took_s"] if ended else None)


def recent(settings: Settings, most: int = 5) -> list[Report]:
    """Return the newest errands, newest first."""
    found = []
    for folder in _newest(_place(settings))[:most]:
        with suppress(UnknownErrand, FileNotFoundError):  # another worker forgets old ones
            found.append(report(settings, folder.name))
    return sorted(found, key=lambda each: each.errand.at, reverse=True)


def _begun(settings: Settings, identity: str) -> Errand | None:
    """Return what a form that was sent twice began; None for the moment in which that is being written."""
    try:
        return report(settings, identity).errand
    except UnknownErrand:
        return None


def write(path: Path, content: Any) -> None:
    """Write a JSON file that is there whole or not at all."""
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(unfinished, path)


def _environment(settings: Settings, by: str) -> dict[str, str]:
    ours = {"SACRISTY_PROJECT": str(settings.project), "SACRISTY_HOME": str(settings.home), "SACRISTY_USER": by}
    return os.environ | ours | {"PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}


def _place(settings: Settings) -> Path:
    return settings.home / "gateway" / "errands"


def _folder(settings: Settings, identity: str) -> Path:
    if not ID.fullmatch(identity):
        raise InvalidName(kind="errand", value=identity, grammar="32 hexadecimal digits")
    return _place(settings) / identity


def _newest(place: Path) -> list[Path]:
    times: dict[Path, int] = {}
    for folder in place.iterdir() if place.is_dir() else ():
        with suppress(FileNotFoundError, NotADirectoryError):
            times[folder] = (folder / WHAT).stat().st_mtime_ns
    return sorted(times, key=lambda folder: times[folder], reverse=True)


def _forget(place: Path) -> None:
    for folder in _newest(place)[KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def _lives(folder: Path) -> bool:
    runner = _read(folder / RUNNER)
    if runner is None:
        return time.time() - (folder / WHAT).stat().st_mtime < STARTS_WITHIN_S
    try:
        return bool(abs(after_boot_s(psutil.Process(runner["pid"])) - runner.get("after_boot_s", math.nan)) < 1)
    except psutil.NoSuchProcess:
        return (folder / ENDED).exists()


def _last_lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - SHOWN_BYTES))
            return _plain(file.read().decode(errors="replace").splitlines())
    except FileNotFoundError:
        return []


def _plain(lines: Iterable[str]) -> list[str]:
    return [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
