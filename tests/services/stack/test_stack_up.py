"""The embedded stack, for real: up, killed, up again, down."""

from __future__ import annotations

import os
import signal
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import pytest
from pymongo import MongoClient

from sacristy.settings import Role, Settings
from sacristy.stack.doctor import doctor
from sacristy.stack.down import down
from sacristy.stack.keeper import turn
from sacristy.stack.services import GATEWAY, MONGODB, OMNIBOARD, SERVICES
from sacristy.stack.status import service_states
from sacristy.stack.up import up
from sacristy.supervision import Supervisor

Until = Callable[[Callable[[], object]], None]


def pids(settings: Settings) -> dict[str, int]:
    return {name: state.pid for name, state in Supervisor(settings).states().items()}


def ready(settings: Settings, name: str) -> bool:
    return service_states(settings)[name].ready


def write(settings: Settings, run: int) -> None:
    with MongoClient[dict[str, Any]](settings.database_url(Role.TRAINING)) as client:
        client.get_default_database()["runs"].insert_one({"_id": run, "experiment": {"name": "digits"}})


def runs(settings: Settings) -> list[int]:
    with MongoClient[dict[str, Any]](settings.database_url(Role.SERVICE)) as client:
        return sorted(document["_id"] for document in client.get_default_database()["runs"].find())


class Deaf(socketserver.TCPServer):
    allow_reuse_address = True


@contextmanager
def another_program(port: int) -> Iterator[None]:
    """Sit on a port, and close every connection."""
    with Deaf(("127.0.0.1", port), socketserver.BaseRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield
        server.shutdown()
        thread.join()


def test_every_service_is_ready_and_doctor_finds_nothing(stack: Settings) -> None:
    states = service_states(stack)
    assert {name: state.ready for name, state in states.items()} == dict.fromkeys(SERVICES, True)
    assert doctor(stack) == []


def test_all_listen_on_loopback_only(stack: Settings) -> None:
    parents = [psutil.Process(pid) for pid in pids(stack).values()]
    family = [*parents, *(child for parent in parents for child in parent.children(recursive=True))]
    sockets = [item for process in family for item in process.net_connections("tcp")]
    listening = {item.laddr for item in sockets if item.status == psutil.CONN_LISTEN}
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert {address.port for address in listening} == set(stack.ports().values())


def test_up_twice_changes_nothing(stack: Settings) -> None:
    before = pids(stack)
    states = up(stack)
    assert pids(stack) == before
    assert all(state.ready for state in states.values())


def test_no_secret_is_in_a_log_or_a_command_line(stack: Settings) -> None:
    secrets = [path.read_text() for path in (stack.home / "secrets").iterdir()]
    lines = [" ".join(psutil.Process(pid).cmdline()) for pid in pids(stack).values()]
    logs = [path.read_text(errors="replace") for path in (stack.home / "logs").iterdir()]
    assert len(logs) >= 4
    assert [secret for secret in secrets for text in (*lines, *logs) if secret in text] == []


@pytest.mark.parametrize("name", [MONGODB, OMNIBOARD, GATEWAY])
def test_a_killed_service_comes_back_by_itself(stack: Settings, name: str, until: Until) -> None:
    until(lambda: Supervisor(stack).state(name).state == "RUNNING")
    killed = pids(stack)[name]
    os.kill(killed, signal.SIGKILL)
    until(lambda: pids(stack)[name] not in (0, killed) and ready(stack, name))
    until(lambda: all(state.ready for state in service_states(stack).values()))


def test_an_acknowledged_write_survives_a_killed_database(stack: Settings, until: Until) -> None:
    write(stack, 101)
    os.kill(pids(stack)[MONGODB], signal.SIGKILL)
    until(lambda: ready(stack, MONGODB))
    assert 101 in runs(stack)


def test_the_stack_survives_a_killed_supervisor(stack: Settings) -> None:
    with MongoClient[dict[str, Any]](stack.database_url(Role.ADMIN)) as client:
        assert client.admin.command("ping")["ok"] == 1
    parent = psutil.Process(pids(stack)[MONGODB]).parent()
    parent.kill()
    assert all(state.ready for state in up(stack).values())


def test_down_ends_every_process_and_up_brings_the_data_back_on_other_ports(stack: Settings) -> None:
    write(stack, 102)
    processes = [psutil.Process(pid) for pid in pids(stack).values()]
    before = stack.ports()
    assert set(down(stack)) >= set(SERVICES)
    assert [process for process in processes if process.is_running()] == []
    with ExitStack() as others:
        for port in before.values():
            others.enter_context(another_program(port))
        states = up(stack)
    assert all(state.ready for state in states.values())
    assert set(stack.ports().values()).isdisjoint(before.values())
    assert 102 in runs(stack)


def test_a_run_that_went_silent_is_marked_dead(stack: Settings) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    with MongoClient[dict[str, Any]](stack.database_url(Role.TRAINING)) as client:
        silent = {"_id": 103, "experiment": {"name": "digits"}, "status": "RUNNING", "heartbeat": long_ago}
        client.get_default_database()["runs"].insert_one(silent)
        turn(stack)
        assert client.get_default_database()["runs"].find_one({"_id": 103})["status"] == "DEAD"


def test_down_without_anything_running_is_no_error(settings: Settings) -> None:
    assert down(settings) == []
