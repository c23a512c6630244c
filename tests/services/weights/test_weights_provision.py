"""A cluster that is not ours: nothing is known of it but its endpoint and an administrator's keys."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from services.weights.conftest import PROJECT

from sacristy.commands import run
from sacristy.errors import StoreFull
from sacristy.s3 import StoreKeys
from sacristy.settings import Role, Settings
from sacristy.stack.ceph import bringup
from sacristy.stack.ceph.provision import apply, read_plan
from sacristy.stack.ceph.s3 import AdminApi
from sacristy.stack.init import init
from sacristy.stack.ports import free_port, remember
from sacristy.supervision import Supervisor
from sacristy.weights.folder import FolderStore
from sacristy.weights.s3 import S3Store

pytestmark = [
    pytest.mark.ceph,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]
ADMIN = StoreKeys("ADMIN", "administrator's-secret")
NO_PLAN = "[users.ops]\ntitle = 'goes again'\n[buckets]\n"


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """Settings of a cluster that has one user, who may make others, and no bucket."""
    bringup.find_programs()
    folder = tmp_path_factory.mktemp("stranger")
    shutil.copytree(PROJECT / "ceph", folder / "ceph")
    (folder / "ceph" / "store.toml").write_text(NO_PLAN)
    settings = Settings(project=folder, home=folder / "home", ceph_size_gib=3)
    init(settings)
    for name in ("ceph", "ceph-mon"):
        remember(settings, name, free_port())
    supervisor = Supervisor(settings)
    try:
        supervisor.start_daemon()
        cluster = bringup.up(settings, supervisor, lambda _: None)
        create = ["radosgw-admin", "-n", "client.rgw.a", "user", "create", "--uid=admin", "--display-name=admin"]
        create += [f"--access-key={ADMIN.access_key}", f"--secret-key={ADMIN.secret_key}", "--caps=users=*;buckets=*"]
        run(create, environment=os.environ | cluster.environment, timeout_s=60)
        AdminApi(settings.s3_endpoint, settings.s3_ca, ADMIN).ask("DELETE", "user", uid="ops")
        yield settings
    finally:
        supervisor.shutdown()
        shutil.rmtree(folder / "home" / "ceph", ignore_errors=True)


@pytest.fixture
def here(stranger, mongod, tmp_path, monkeypatch):
    """Settings of a home of ours that is to use it, with the words that name it and its administrator."""
    (tmp_path / "admin").write_text(f"{ADMIN.access_key}:{ADMIN.secret_key}\n")
    given = {"PROJECT": PROJECT, "HOME": stranger.project / "ours", "MONGODB_URL": mongod.url(Role.SERVICE)}
    given |= {"WEIGHTS": "s3://weights", "WEIGHTS_ENDPOINT": stranger.s3_endpoint, "WEIGHTS_CA": stranger.s3_ca}
    for name, value in given.items():
        monkeypatch.setenv(f"SACRISTY_{name}", str(value))
    words = ["--endpoint", stranger.s3_endpoint, "--ca", str(stranger.s3_ca), "--admin", str(tmp_path / "admin")]
    return Settings(), words


@pytest.fixture
def provisioned(here, command):
    """The same, with users and buckets made."""
    command("weights", "provision", *here[1])
    return here[0]


def test_users_buckets_and_rights_are_made_and_again_changes_nothing(here, command, write, tmp_path):
    settings, words = here
    changed = json.loads(command("weights", "provision", *words, "--quota-gib", "1", "--json"))["changed"]
    assert [line for line in changed if line.endswith("made")] == [
        *(f"user {name} made" for name in ("ops", "training", "serving")),
        *(f"bucket {name} made" for name in ("weights", "data", "backups")),
    ]
    assert json.loads(command("weights", "provision", *words, "--quota-gib", "1", "--json"))["changed"] == []
    digest, _ = S3Store("weights", settings, "training").put(write("a.txt", b"a"))
    S3Store("weights", settings, "serving").get(digest, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"a"


def test_keys_that_are_not_there_or_wrong_are_one_line(here, command, write):
    _, words = here
    assert "holds no keys" in command("weights", "provision", *words[:-1], "nothing", code=1)
    wrong = command("weights", "provision", *words[:-1], write("wrong", b"ADMIN:wrong"), code=1)
    assert "SignatureDoesNotMatch" in wrong
    assert "Traceback" not in wrong


def test_more_than_the_quota_is_refused(provisioned, write):
    plan = read_plan(PROJECT / "ceph" / "store.toml")
    keys = {name: StoreKeys.parse(provisioned.secret(f"ceph-{name}")) for name in plan.users}
    where = (provisioned.s3_endpoint, provisioned.s3_ca)
    assert apply(plan, *where, admin=ADMIN, keys=keys, quota_bytes=1 << 20) == ["quota of ops set"]
    training = S3Store("weights", provisioned, "training")
    with pytest.raises(StoreFull, match="QuotaExceeded"):
        training.put(write("large", os.urandom(2 << 20)))
    assert apply(plan, *where, admin=ADMIN, keys=keys, quota_bytes=1 << 30) == ["quota of ops set"]
    training.put(write("large", os.urandom(2 << 20)))


def test_a_backup_goes_to_another_gateway_and_comes_back(
    provisioned, command, mongod, killable_mongod, ceph, write, tmp_path, monkeypatch
):
    """From a stack whose store is one cluster, to a locked bucket of another, back onto an empty stack of folders."""
    (tmp_path / "keys").write_text(provisioned.secret("ceph-ops"))
    there = ["--endpoint", provisioned.s3_endpoint, "--ca", provisioned.s3_ca, "--keys", tmp_path / "keys"]
    ours = {"HOME": ceph.home, "WEIGHTS_ENDPOINT": ceph.s3_endpoint, "WEIGHTS_CA": ceph.s3_ca}
    for name, value in ours.items():
        monkeypatch.setenv(f"SACRISTY_{name}", str(value))
    content = os.urandom(9 << 20)  # in two parts
    digest, size = S3Store("weights", ceph, "training").put(write("large", content))
    file = {"name": "m.txt", "digest": digest, "size": size, "role": "weights"}
    mongod.database().runs.insert_one({"_id": 480_001, "status": "COMPLETED", "sacristy": {"weights": [file]}})
    try:
        command("backup", "s3://backups", *there)
    finally:
        mongod.database().runs.delete_one({"_id": 480_001})
    empty = {"HOME": tmp_path / "empty", "WEIGHTS": "", "MONGODB_URL": killable_mongod.url(Role.ADMIN)}
    for name, value in empty.items():
        monkeypatch.setenv(f"SACRISTY_{name}", str(value))
    restored = json.loads(command("restore", "s3://backups", *there, "--json"))
    assert restored["verified"]["damaged"] == restored["verified"]["missing"] == []
    assert killable_mongod.database().runs.find_one({"_id": 480_001})["sacristy"]["weights"] == [file]
    FolderStore(tmp_path / "empty" / "weights").get(digest, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content
