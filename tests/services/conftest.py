"""A real mongod for service tests: a one-node replica set with users and generated passwords."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pymongo
import pytest
from pymongo.errors import OperationFailure, PyMongoError

from sacristy.settings import DATABASE, REPLICA_SET, Role, Settings
from sacristy.tracking import database, schema

ALREADY_INITIALIZED = 23


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes more than about ten seconds")


def find_mongod() -> str | None:
    """Return the path of a mongod: from PATH, else the one that the embedded stack's wheel holds."""
    wheel = Path(sysconfig.get_path("purelib")) / "fiftyone" / "db" / "bin" / "mongod"
    return shutil.which("mongod") or (str(wheel) if os.access(wheel, os.X_OK) else None)


class Mongod:
    """A mongod of one's own; `kill` it and `start` it again as often as the test needs."""

    def __init__(self, folder: Path, program: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.passwords = {role: secrets.token_urlsafe(16) for role in Role}
        (folder / "data").mkdir(parents=True)
        (folder / "key").write_text(secrets.token_hex(64))
        (folder / "key").chmod(0o400)
        arguments = ["--auth", "--replSet", REPLICA_SET, "--bind_ip", "127.0.0.1", "--wiredTigerCacheSizeGB", "0.25"]
        places = ["--dbpath", folder / "data", "--keyFile", folder / "key", "--port", self.port, "--nounixsocket"]
        self._command = [program, *arguments, *map(str, places), "--setParameter", "diagnosticDataCollectionEnabled=0"]
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: dict[Role, pymongo.MongoClient[dict[str, object]]] = {}

    def url(self, role: Role) -> str:
        source = "admin" if role is Role.ADMIN else DATABASE
        user = f"{role}:{quote(self.passwords[role], safe='')}"
        return f"mongodb://{user}@127.0.0.1:{self.port}/{DATABASE}?replicaSet={REPLICA_SET}&authSource={source}"

    def database(self, role: Role = Role.ADMIN) -> database.Documents:
        """Return the database as a role, over one client for each, which the fixture closes."""
        if role not in self._clients:
            self._clients[role] = database.open_client(self.url(role))
        return self._clients[role].get_default_database()

    def environment(self, project: Path, home: Path, role: Role = Role.TRAINING) -> dict[str, str]:
        """Return the environment for a child process that is to use this database and these folders."""
        ours = {"SACRISTY_PROJECT": str(project), "SACRISTY_HOME": str(home), "SACRISTY_MONGODB_URL": self.url(role)}
        return os.environ | ours | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}

    def settings(self, project: Path, home: Path, role: Role = Role.TRAINING) -> Settings:
        return Settings(project=project, home=home, mongodb_url=self.url(role))

    def start(self) -> Mongod:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        return self

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def close(self) -> None:
        """Close the clients and end the server."""
        for client in self._clients.values():
            client.close()
        self.kill()

    def initiate(self) -> Mongod:
        """Make the replica set, the first user and all that Sacristy needs."""
        options = {"directConnection": True, "serverSelectionTimeoutMS": 500}
        member = {"_id": 0, "host": f"127.0.0.1:{self.port}"}
        with pymongo.MongoClient("127.0.0.1", self.port, **options) as client:
            retried(lambda: client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [member]}))
            retried(lambda: schema.create_admin(client, self.passwords[Role.ADMIN]))
        with database.open_client(self.url(Role.ADMIN)) as admin:
            schema.keep_predictions(admin, days=30)
            schema.provision(admin, self.passwords)
        return self


@pytest.fixture(scope="session")
def mongod_program() -> str:
    program = find_mongod()
    if program is None:
        pytest.skip("there is no mongod on PATH, and the wheel that holds one is not installed")
    return program


@pytest.fixture(scope="session")
def mongod(mongod_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """The session's server. Never kill it; use a number of runs of your own, not an empty database."""
    server = Mongod(tmp_path_factory.mktemp("mongod"), mongod_program)
    yield server.start().initiate()
    server.close()


@pytest.fixture
def killable_mongod(mongod_program: str, tmp_path: Path) -> Iterator[Mongod]:
    """A server for this test alone, which may kill and restart it."""
    server = Mongod(tmp_path / "mongod", mongod_program)
    yield server.start().initiate()
    server.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty project folder."""
    folder = tmp_path / "project"
    (folder / "models").mkdir(parents=True)
    (folder / "Pipfile").touch()
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def retried(work: Callable[[], object], seconds: float = 20) -> None:
    """Repeat until the server takes it, or says that it did so at an earlier attempt."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            work()
        except OperationFailure as error:
            if error.code != ALREADY_INITIALIZED and time.monotonic() > deadline:
                raise
            if error.code == ALREADY_INITIALIZED:
                return
        except PyMongoError:
            if time.monotonic() > deadline:
                raise
        else:
            return
        time.sleep(0.1)
