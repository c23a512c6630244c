"""`sacristy weights ...` as it is typed, on a folder and on Ceph."""

from __future__ import annotations

import itertools
import json
import pickle
import shutil
from pathlib import Path

import pytest
from services.conftest import Mongod

from sacristy.names import blob_key
from sacristy.settings import Role, Settings
from sacristy.weights.folder import FolderStore
from sacristy.weights.store import open_store

# a command leaves its connections to the end of its process
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
RUNS = itertools.count(470_001)


@pytest.fixture(scope="module")
def database(mongod_program, tmp_path_factory):
    """A server whose runs are this module's alone."""
    server = Mongod(tmp_path_factory.mktemp("mongod"), mongod_program)
    yield server.start().initiate()
    server.close()


@pytest.fixture(params=["folder", pytest.param("ceph", marks=pytest.mark.ceph)])
def shelf(request, database, project, tmp_path, monkeypatch):
    """Settings of a home whose store is a folder or Ceph's bucket, and which commands of this test use."""
    given = {"PROJECT": project, "HOME": tmp_path / "home", "MONGODB_URL": database.url(Role.SERVICE)}
    if request.param == "ceph":
        ceph = request.getfixturevalue("ceph")
        shutil.copytree(ceph.home / "secrets", tmp_path / "home" / "secrets")
        given |= {"WEIGHTS": "s3://weights", "WEIGHTS_ENDPOINT": ceph.s3_endpoint, "WEIGHTS_CA": ceph.s3_ca}
    for name, value in given.items():
        monkeypatch.setenv(f"SACRISTY_{name}", str(value))
    yield Settings()
    database.database().runs.delete_many({})


@pytest.fixture
def run(database, shelf, write):
    """A run with one file: its number, and the file's digest."""
    number, content = next(RUNS), f"weights of {shelf.home}"
    digest, size = open_store(shelf.weights_location, shelf, "training").put(write("model.txt", content.encode()))
    file = {"name": "model.txt", "digest": digest, "size": size, "role": "weights"}
    database.database().runs.insert_one(
        {"_id": number, "status": "COMPLETED", "experiment": {"name": "toy"}, "sacristy": {"weights": [file]}}
    )
    return number, digest


def damage(settings, digest):
    store = open_store(settings.weights_location, settings, "ops")
    if isinstance(store, FolderStore):
        store.path(digest).chmod(0o600)
        store.path(digest).write_bytes(b"other")
    else:
        store.client.put_object(Bucket=store.bucket, Key=blob_key(digest), Body=b"other")


def digests(command):
    return {blob["digest"]: blob["referenced_by"] for blob in json.loads(command("weights", "ls", "--json"))}


def test_what_is_put_is_listed_and_got(shelf, command, write, tmp_path):
    (stored,) = json.loads(command("weights", "put", write("a.json", b"[1]"), "--json"))
    assert digests(command)[stored["digest"]] == []
    command("weights", "get", stored["digest"], tmp_path / "out")
    assert (tmp_path / "out" / stored["digest"][7:]).read_bytes() == b"[1]"


def test_a_pickle_is_refused_in_one_line_and_nothing_is_stored(shelf, command, write):
    before = digests(command)
    said = command("weights", "put", write("a.json", b"[2]"), write("b.txt", pickle.dumps([3])), code=1)
    assert "its content looks like a pickle" in said
    assert "Traceback" not in said
    assert digests(command) == before


def test_a_runs_files_are_listed_with_it_and_got_by_its_number(shelf, command, run, tmp_path):
    number, digest = run
    assert digests(command)[digest] == [f"run {number}"]
    command("weights", "get", number, tmp_path / "out")
    assert (tmp_path / "out" / "model.txt").read_text() == f"weights of {shelf.home}"


def test_what_is_neither_a_run_nor_a_digest_is_said(shelf, command):
    assert "run or digest" in command("weights", "get", "model", code=2)


def test_verify_reads_all_and_names_what_is_broken_and_whose_it_is(shelf, command, run):
    number, digest = run
    assert json.loads(command("weights", "verify", "--json"))["sound"] == 1
    damage(shelf, digest)
    said = command("weights", "verify", code=1)
    assert digest in said
    assert f"run {number}" in said


def test_what_is_damaged_comes_again_from_a_backup(shelf, command, run, tmp_path):
    command("backup", tmp_path / "backups")
    damage(shelf, run[1])
    assert run[1] in command("weights", "mend", tmp_path / "nothing", code=1)
    assert json.loads(command("weights", "mend", tmp_path / "backups", "--json"))["mended"] == 1
    assert json.loads(command("weights", "verify", "--json"))["ok"]


def test_gc_shows_and_asks_and_keeps_what_a_run_refers_to(shelf, command, run, write):
    (stored,) = json.loads(command("weights", "put", write("a.json", b"[4]"), "--json"))
    command("weights", "gc", "--yes")  # younger than the grace period
    assert stored["digest"] in digests(command)
    said = command("weights", "gc", "--grace-days", "0", typed="n\n", code=1)
    assert stored["digest"] in said
    assert run[1] not in said
    assert stored["digest"] in digests(command)
    removed = json.loads(command("weights", "gc", "--grace-days", "0", "--yes", "--json"))["removed"]
    assert stored["digest"] in removed
    assert list(digests(command)) == [run[1]]


def test_gc_keeps_a_checkpoint_until_its_run_is_completed(database, shelf, command, run, write):
    (stored,) = json.loads(command("weights", "put", write("a.json", b"[5]"), "--json"))
    runs, number = database.database().runs, run[0]
    kept = {"number": 3, "name": "000003-state", "files": [{"path": "a.json", "digest": stored["digest"]}]}
    runs.update_one({"_id": number}, {"$set": {"status": "DEAD", "sacristy.kept_checkpoint": kept}})
    command("weights", "gc", "--grace-days", "0", "--yes")
    assert digests(command)[stored["digest"]] == [f"checkpoint of run {number}"]
    runs.update_one({"_id": number}, {"$set": {"status": "COMPLETED"}})
    command("weights", "gc", "--grace-days", "0", "--yes")
    assert list(digests(command)) == [run[1]]


def test_a_backup_comes_back_by_command(shelf, command, run, killable_mongod, tmp_path, monkeypatch):
    place = tmp_path / "backups"
    made = json.loads(command("backup", place, "--json"))["backup"]
    assert made["blobs"] == [run[1]]
    monkeypatch.setenv("SACRISTY_MONGODB_URL", killable_mongod.url(Role.ADMIN))
    monkeypatch.setenv("SACRISTY_HOME", str(tmp_path / "empty"))
    monkeypatch.delenv("SACRISTY_WEIGHTS", raising=False)
    restored = json.loads(command("restore", place, "--json"))
    assert (restored["backup"], restored["verified"]["sound"]) == (made, 1)
    assert json.loads(command("weights", "verify", "--json"))["ok"]


def test_older_backups_go_when_a_new_one_is_whole(shelf, command, run, tmp_path):
    for _ in range(2):
        made = json.loads(command("backup", tmp_path / "backups", "--keep", "1", "--json"))
    assert len(made["pruned"]["backups"]) == 1
    assert [path.name for path in (tmp_path / "backups").glob("backup-*")] == [made["backup"]["name"]]
    assert made["backup"]["blobs"] == [run[1]]


def test_a_place_that_cannot_hold_a_backup_is_said(shelf, command, tmp_path):
    assert "there is none" in command("restore", tmp_path / "nothing", code=1)
    assert "s3://bucket" in command("backup", "ftp://host/folder", code=1)
    said = command("backup", "s3://backups", "--endpoint", "https://127.0.0.1:9", "--keys", Path("no-file"), code=1)
    assert "no-file holds no keys" in said
