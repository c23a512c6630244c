"""The supervisor, for real, in a temporary home."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from sacristy.errors import InvalidProgram
from sacristy.settings import Settings
from sacristy.supervision import Program, Supervisor

Until = Callable[[Callable[[], object]], None]


TRAP = "import signal,sys,time; signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit(0)));"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(project=tmp_path, home=tmp_path / "home with space")


@pytest.fixture
def supervisor(settings: Settings) -> Iterator[Supervisor]:
    one = Supervisor(settings)
    one.start_daemon()
    yield one
    one.shutdown()
    assert not one.running()


def sleeper(supervisor: Supervisor, name: str = "sleeper", **fields: object) -> Program:
    argv = (sys.executable, "-c", TRAP + "print('up', flush=True); time.sleep(600)")
    return Program(name, argv, supervisor.folder, supervisor.log.parent / f"{name}.log", **fields)  # type: ignore[arg-type]


def test_a_program_runs_is_stopped_gracefully_and_forgotten(supervisor: Supervisor, until: Until) -> None:
    program = sleeper(supervisor)
    supervisor.add(program)
    until(lambda: "up" in program.log.read_text())
    assert supervisor.state("sleeper").running
    supervisor.remove("sleeper")
    assert supervisor.state("sleeper") is None
    assert program.log.read_text() == "up\nbye\n"
    assert supervisor.remembered() == {}


def test_environment_and_arguments_arrive_as_written(supervisor: Supervisor, until: Until) -> None:
    odd = "a\"b'c %(x)s ; # d\nä"
    code = "import os,sys,time; print(ascii((sys.argv[1], os.environ['ODD'], [*os.environ]))); time.sleep(9)"
    program = Program(
        "odd", (sys.executable, "-uc", code, odd), supervisor.folder, supervisor.log.parent / "odd.log", {"ODD": odd}
    )
    supervisor.add(program)
    until(lambda: program.log.read_text().endswith("\n"))
    argument, value, names = eval(program.log.read_text())
    assert (argument, value) == (odd, odd)
    assert not [name for name in names if name.startswith(("SUPERVISOR", "PYTEST"))]


def test_adding_the_same_again_keeps_its_process_and_another_replaces_it(supervisor: Supervisor) -> None:
    supervisor.add(sleeper(supervisor))
    first = supervisor.state("sleeper").pid
    supervisor.add(sleeper(supervisor))
    assert supervisor.state("sleeper").pid == first
    supervisor.add(sleeper(supervisor, environment={"A": "1"}))
    assert supervisor.state("sleeper").pid != first


def test_a_killed_program_comes_back(supervisor: Supervisor, until: Until) -> None:
    supervisor.add(sleeper(supervisor))
    until(lambda: supervisor.state("sleeper").state == "RUNNING")
    first = supervisor.state("sleeper").pid
    os.kill(first, signal.SIGKILL)
    until(lambda: supervisor.state("sleeper").pid not in (0, first))


def test_a_program_that_may_not_restart_is_given_up_at_once(supervisor: Supervisor, until: Until) -> None:
    argv = (sys.executable, "-c", "print('last words'); raise SystemExit(3)")
    supervisor.add(Program("short", argv, supervisor.folder, supervisor.log.parent / "short.log", restart=False))
    until(lambda: supervisor.state("short").state == "FATAL")
    assert "last words" in (supervisor.log.parent / "short.log").read_text()
    supervisor.remove("short")
    assert supervisor.state("short") is None


def test_programs_come_back_with_a_new_daemon(supervisor: Supervisor, until: Until) -> None:
    supervisor.add(sleeper(supervisor))
    first = supervisor.state("sleeper").pid
    supervisor.shutdown()
    assert not psutil.pid_exists(first)
    supervisor.start_daemon()
    until(lambda: supervisor.state("sleeper").running)


def test_no_orphan_outlives_a_killed_supervisor(supervisor: Supervisor, until: Until) -> None:
    supervisor.add(sleeper(supervisor))
    child = psutil.Process(supervisor.state("sleeper").pid)
    until(lambda: "up" in (supervisor.log.parent / "sleeper.log").read_text())
    child.parent().kill()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    supervisor.start_daemon()
    until(lambda: supervisor.state("sleeper").running)


def test_a_missing_executable_is_named_in_the_log(supervisor: Supervisor, until: Until) -> None:
    log = supervisor.log.parent / "gone.log"
    supervisor.add(Program("gone", ("/no/such/program",), supervisor.folder, log, restart=False))
    until(lambda: supervisor.state("gone").state == "FATAL")
    assert "cannot start /no/such/program" in log.read_text()


def test_the_daemon_holds_no_descriptor_of_the_command_that_started_it(settings: Settings) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    supervisor = Supervisor(settings)
    supervisor.start_daemon()
    os.close(writing)
    try:
        assert os.read(reading, 1) == b""  # end of file: nobody else holds the other end
    finally:
        os.close(reading)
        supervisor.shutdown()


def test_everything_it_writes_is_private(supervisor: Supervisor, until: Until) -> None:
    supervisor.add(sleeper(supervisor))
    until(lambda: (supervisor.log.parent / "sleeper.log").exists())
    paths = [
        supervisor.socket,
        *supervisor.folder.rglob("*.conf"),
        *supervisor.folder.rglob("*.json"),
        *supervisor.log.parent.iterdir(),
    ]
    assert len(paths) >= 5
    assert [path for path in paths if path.stat().st_mode & 0o077] == []


def test_a_name_that_could_leave_its_folder_is_refused(supervisor: Supervisor) -> None:
    with pytest.raises(InvalidProgram):
        sleeper(supervisor, name="../evil")
