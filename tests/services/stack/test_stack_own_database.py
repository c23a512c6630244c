"""A MongoDB that the stack did not start: made ready by a command, and kept true by the keeper all the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.errors import OperationFailure

from sacristy.settings import REPLICA_SET, Role, Settings
from sacristy.stack.down import down
from sacristy.stack.init import init
from sacristy.stack.services import KEEPER, MONGODB
from sacristy.stack.up import up
from sacristy.supervision import Supervisor
from sacristy.tracking import schema
from sacristy.tracking.database import connect

from ..conftest import Mongod, retried
from .conftest import PROJECT

SACRISTY, PATH = Path(sys.executable).with_name("sacristy"), os.environ["PATH"]


@pytest.fixture
def server(mongod_program: str, tmp_path: Path) -> Iterator[Mongod]:
    """A replica set with an administrator, and nothing of ours."""
    server = Mongod(tmp_path / "mongod", mongod_program).start()
    options: dict[str, Any] = {"directConnection": True, "serverSelectionTimeoutMS": 500}
    member = {"_id": 0, "host": f"127.0.0.1:{server.port}"}
    with pymongo.MongoClient[dict[str, Any]]("127.0.0.1", server.port, **options) as client:
        retried(lambda: client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [member]}))
        retried(lambda: schema.create_admin(client, server.passwords[Role.ADMIN]))
    yield server
    server.close()


@pytest.fixture
def settings(server: Mongod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A project that was told the server's address, without any password; without Node, which is quick."""
    monkeypatch.setenv("PATH", str(tmp_path))
    address = f"mongodb://127.0.0.1:{server.port}/sacristy?replicaSet={REPLICA_SET}"
    settings = Settings(project=PROJECT, home=tmp_path / "home", mongodb_url=address)
    init(settings)
    yield settings
    down(settings)


def provision(settings: Settings, admin: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run the command as a person does, with the administrator's address in a file."""
    (tmp_path / "admin").write_text(admin + "\n")
    places = {"SACRISTY_PROJECT": str(settings.project), "SACRISTY_HOME": str(settings.home), "PATH": PATH}
    argv = [str(SACRISTY), "database", "provision", "--admin", str(tmp_path / "admin"), "--json"]
    return subprocess.run(argv, env=os.environ | places, cwd=PROJECT, capture_output=True, text=True, check=False)


def test_provision_makes_what_up_would_and_the_keeper_looks_after_it(
    server: Mongod, settings: Settings, tmp_path: Path, until: Any
) -> None:
    first, second = (provision(settings, server.url(Role.ADMIN), tmp_path) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    made = json.loads(first.stdout)
    assert made == json.loads(second.stdout)
    assert settings.mongodb_url is not None
    assert made["address"] == settings.mongodb_url.get_secret_value()
    assert set(made["users"]) == {str(role) for role in Role} - {"admin"}
    training = connect(settings, Role.TRAINING)
    with training.client:
        long_ago = datetime.now(UTC) - timedelta(hours=1)
        training.runs.insert_one({"_id": 1, "status": "RUNNING", "heartbeat": long_ago})
        with pytest.raises(OperationFailure, match="not authorized"):
            training.runs.delete_one({"_id": 1})
        states = up(settings)
        assert (states[MONGODB].ready, states[MONGODB].url) == (True, made["address"])
        programs = Supervisor(settings).states()
        assert KEEPER in programs
        assert MONGODB not in programs
        until(lambda: training.runs.find_one({"_id": 1})["status"] == "DEAD")
    assert "points" in {name for name in server.database().list_collection_names()}
    assert len(server.database().points.index_information()) == 2


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("mongodb://admin:notThisOne@127.0.0.1:{port}/?authSource=admin", "it does not accept this user and password"),
        ("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=300", "does not answer"),
        ("postgres://x", "does not answer"),
        ("mongodb://127.0.0.1:{port}/", "requires authentication"),
    ],
)
def test_an_address_that_will_not_do_is_told_in_one_line(
    server: Mongod, settings: Settings, tmp_path: Path, address: str, said: str
) -> None:
    done = provision(settings, address.format(port=server.port), tmp_path)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "notThisOne" not in done.stderr
