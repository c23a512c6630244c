"""The supervisord of one home folder: start it, give it programs, ask it, end it.

A program is remembered below run/programs/ and so comes back when the supervisor does.
"""

from __future__ import annotations

import os
import sys
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from sacristy.commands import run
from sacristy.errors import PathNotWritable, SupervisorFailed
from sacristy.settings import Settings
from sacristy.supervision import rpc
from sacristy.supervision.program import Program, daemon_text, detail_text, read_detail, section_text, write_private
from sacristy.turns import turn

ANSWER_WITHIN_S = 10.0
DEFAULT_STOP_WAIT_S = 10


@dataclass(frozen=True)
class ProgramState:
    """What supervisord says: STOPPED, STARTING, RUNNING, BACKOFF (ended at once, tried again), STOPPING, EXITED, FATAL.

    `pid` is 0 while it does not run; `started` in seconds since 1970; `exit_code` of
    the last end, 0 too for one that came before the program was steady (see `detail` and the program's log).
    """

    name: str
    state: str
    pid: int
    started: float
    exit_code: int
    detail: str

    @property
    def running(self) -> bool:
        """Whether the program runs at this moment, steady or not."""
        return self.state in ("RUNNING", "STARTING")


class Supervisor:
    """The supervisord of one home folder. Every question may raise SupervisorFailed."""

    def __init__(self, settings: Settings) -> None:
        """Starts nothing yet."""
        self._home = settings.home
        self.folder = settings.home / "run"
        self.programs_folder = self.folder / "programs"
        self.log = settings.home / "logs" / "supervisor.log"
        self.socket = rpc.socket_path(self.folder)

    def start_daemon(self) -> None:
        """Start supervisord with the remembered programs, unless it runs. It outlives the caller.

        Raises PathNotWritable or SupervisorFailed.
        """
        self._make_folders()
        with turn(self.folder / "supervisor.lock", "starting the supervisor"):
            if self.running():
                return
            config = self.folder / "supervisord.conf"
            write_private(config, daemon_text(self.folder, self.socket, self.log))
            # It makes itself a daemon: new session, standard streams to /dev/null, other descriptors closed.
            argv = [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(config)]
            run(argv, folder=self._home, timeout_s=60)
            self._wait_until(self.running, within_s=20)

    def running(self) -> bool:
        """Say whether supervisord answers."""
        try:
            with self._ask(2.0) as supervisor:
                return bool(supervisor.getState()["statename"] == "RUNNING")
        except SupervisorFailed:
            return False

    def add(self, program: Program) -> None:
        """Remember a program and start it; does not wait until it is ready.

        The same program again is started if it does not run; another of the same name replaces the old one.
        """
        detail = self.programs_folder / f"{program.name}.json"
        wanted = {detail: detail_text(program), detail.with_suffix(".conf"): section_text(program, detail)}
        if any(_read(path) != text for path, text in wanted.items()):
            self.remove(program.name)
            for path, text in wanted.items():
                write_private(path, text)
        with self._ask() as supervisor:
            supervisor.reloadConfig()
            with rpc.accepting(rpc.ALREADY_ADDED):
                supervisor.addProcessGroup(program.name)
            with rpc.accepting(rpc.ALREADY_STARTED):
                supervisor.startProcess(program.name, False)

    def remove(self, name: str) -> None:
        """Stop a program gracefully, wait until it has ended, and forget it. An unknown one is no error."""
        stop_wait_s = self._stop_wait_s(name)
        detail = self.programs_folder / f"{name}.json"
        detail.with_suffix(".conf").unlink(missing_ok=True)
        if name in self.states():
            self._wait_until(lambda: self._removed(name), stop_wait_s + ANSWER_WITHIN_S)
        detail.unlink(missing_ok=True)

    def stop(self, name: str) -> None:
        """Stop a program gracefully and wait until it has ended; it stays known."""
        with self._ask(self._stop_wait_s(name) + ANSWER_WITHIN_S) as supervisor, rpc.accepting(rpc.NOT_RUNNING):
            supervisor.stopProcess(name)

    def start(self, name: str) -> None:
        """Start a known program, unless it runs."""
        with self._ask() as supervisor, rpc.accepting(rpc.ALREADY_STARTED):
            supervisor.startProcess(name, False)

    def state(self, name: str) -> ProgramState | None:
        """Return a program's state, or None if there is none of that name or no supervisor."""
        return self.states().get(name)

    def states(self) -> dict[str, ProgramState]:
        """Return the state of every program by name; empty while supervisord does not run."""
        if not rpc.listens(self.socket):
            return {}
        with self._ask() as supervisor:
            return {info["name"]: _state(info) for info in supervisor.getAllProcessInfo()}

    def remembered(self) -> dict[str, Program]:
        """Return the programs that are kept on disk, by name, whether supervisord runs or not."""
        texts = (_read(path) for path in sorted(self.programs_folder.glob("*.json")))
        programs = (read_detail(text) for text in texts if text)
        return {program.name: program for program in programs}

    def shutdown(self) -> None:
        """Stop every program, the last started first, and supervisord. They stay remembered. No daemon: no error."""
        if not rpc.listens(self.socket):
            return
        with self._ask() as supervisor:
            pid = int(supervisor.getPID())
            supervisor.shutdown()
        waits = sum(program.stop_wait_s for program in self.remembered().values())
        self._wait_until(lambda: not _alive(pid), waits + ANSWER_WITHIN_S)

    def _removed(self, name: str) -> bool:
        """Stop a program and remove it; say whether it went. One that has just ended by itself may be started again."""
        with self._ask(self._stop_wait_s(name) + ANSWER_WITHIN_S) as supervisor:
            with rpc.accepting(rpc.NOT_RUNNING, rpc.BAD_NAME):
                supervisor.stopProcess(name)
            with rpc.accepting(rpc.STILL_RUNNING, rpc.BAD_NAME):
                supervisor.removeProcessGroup(name)
        return name not in self.states()

    def _stop_wait_s(self, name: str) -> int:
        text = _read(self.programs_folder / f"{name}.json")
        return read_detail(text).stop_wait_s if text else DEFAULT_STOP_WAIT_S

    def _make_folders(self) -> None:
        try:
            for folder in (self.folder, self.programs_folder, self.log.parent, self.socket.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.log.touch(mode=0o600)  # supervisord opens it before it sets its umask
        except OSError as error:
            raise PathNotWritable(path=error.filename, reason=error.strerror) from None
        owned = self.socket.parent.stat()
        if owned.st_uid != os.getuid() or owned.st_mode & 0o077:
            raise PathNotWritable(path=self.socket.parent, reason="it must belong to this user alone (mode 0700)")

    @contextmanager
    def _ask(self, within_s: float = ANSWER_WITHIN_S) -> Iterator[Any]:
        try:
            with rpc.functions(self.socket, within_s) as supervisor:
                yield supervisor
        except rpc.UNREACHABLE as error:
            reason = error.faultString if isinstance(error, xmlrpc.client.Fault) else str(error) or type(error).__name__
            raise SupervisorFailed(reason=reason, log=self.log) from None

    def _wait_until(self, condition: Callable[[], bool], within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline:
                raise SupervisorFailed(reason=f"no change within {within_s:.0f} s", log=self.log)
            time.sleep(0.05)


def _state(info: dict[str, Any]) -> ProgramState:
    detail = info["spawnerr"] or info["description"]
    return ProgramState(info["name"], info["statename"], info["pid"], info["start"], info["exitstatus"], detail)


def _read(path: Path) -> str:
    with suppress(FileNotFoundError):
        return path.read_text(encoding="utf-8")
    return ""


def _alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
