"""The driver's process, from outside: started in Ray's environment, read line by line, and always cleaned up after."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

import psutil

from sacristy.environments import ensure_environment
from sacristy.settings import Settings
from sacristy.tracking.variables import CHECKPOINT, PARENT, REPEATS, TOKEN, TRIAL

PREFIX = "sacristy-search-"  # of its folder, in a short place: sockets' paths have 107 characters at most
SHUTDOWN_S = 20.0
LOG = "driver.log"
SHOWN_LINES = 15


def search_lock(settings: Settings) -> Path:
    """Return the Pipfile.lock of Ray's environment."""
    return settings.project / "deploy" / "search" / "Pipfile.lock"


def command(python: Path) -> list[str]:
    """Return the command that runs a driver."""
    return [str(python), "-m", "sacristy.search.driver"]


def environment(settings: Settings, *, local: bool) -> dict[str, str]:
    """Return the variables of a driver and, locally, of all Ray's processes: nothing is told to anybody outside."""
    mine = (TOKEN, PARENT, REPEATS, CHECKPOINT, TRIAL)
    kept = {name: value for name, value in os.environ.items() if name not in mine}
    ours = {
        "PYTHONPATH": str(settings.project),
        "SACRISTY_PROJECT": str(settings.project),
        "SACRISTY_HOME": str(settings.home),
        "SACRISTY_ENVIRONMENTS": str(settings.environments_folder),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_kill_child_processes_on_worker_exit": "0",  # a training gets SIGTERM, and time to store everything
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_DISABLE_SIGINT_HANDLER": "1",
        "TUNE_GLOBAL_CHECKPOINT_S": "86400",
        "RAY_AIR_NEW_OUTPUT": "0",
    }
    alone = {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's own word for: this machine only, by loopback
        "RAY_AUTH_TOKEN": secrets.token_hex(32),  # other users of this machine may connect to loopback
        "RAY_enable_worker_prestart": "0",
        "RAY_prestart_worker_first_driver": "0",
        "RAY_worker_niceness": "0",  # as fast as any training; it would be 15
    }
    found = kept | ours | (alone if local else {})
    # Ray's client shows its token only where it is told to, unlike Ray's own parts.
    return found | ({"RAY_AUTH_MODE": "token"} if "RAY_AUTH_TOKEN" in found else {})


class Driver:
    """A driver at work: `events` gives what it tells; leaving the block ends it and whatever Ray left behind."""

    def __init__(self, settings: Settings, *, local: bool) -> None:
        python = ensure_environment(settings, search_lock(settings))
        remove_leftovers()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir="/tmp"))
        with (self.folder / LOG).open("wb") as log:
            self._process = subprocess.Popen(
                command(python),
                cwd=settings.project,
                env=environment(settings, local=local),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the search, which ends its driver itself
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        cast("BinaryIO", self._process.stdin).close()
        try:
            self._process.wait(SHUTDOWN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        cast("BinaryIO", self._process.stdout).close()
        clean(self.folder)

    def begin(self, plan: dict[str, Any]) -> None:
        """Give it the plan."""
        stream = cast("BinaryIO", self._process.stdin)
        try:
            stream.write(json.dumps(plan).encode() + b"\n")
            stream.flush()
        except BrokenPipeError:
            return  # its end is seen, and told, where events are read

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield its events to their end."""
        for line in cast("BinaryIO", self._process.stdout):
            yield json.loads(line)

    def last_lines(self) -> str:
        """Return the last lines that it printed."""
        try:
            lines = (self.folder / LOG).read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-SHOWN_LINES:])


def clean(folder: Path) -> None:
    """End the processes of Ray's that belong to a folder, and remove it."""
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in word for word in process.info["cmdline"] or []):
            try:
                process.kill()
            except psutil.Error as error:
                print(f"sacristy: process {process.pid} of Ray stays: {error}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers() -> None:
    """Clean up after searches that were killed together with their drivers."""
    for folder in Path("/tmp").glob(f"{PREFIX}*-*"):  # noqa: S108
        owner = folder.name.removeprefix(PREFIX).partition("-")[0]
        try:
            ours = folder.stat().st_uid == os.getuid()
        except OSError:
            continue
        if ours and owner.isdecimal() and not psutil.pid_exists(int(owner)):
            clean(folder)
