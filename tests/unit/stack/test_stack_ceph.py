"""Ceph as data: the configuration, the programs, the rights of ceph/store.toml. Nothing is started."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from sacristy.errors import CommandFailed, InvalidModelFile, ProgramMissing
from sacristy.s3 import StoreKeys
from sacristy.settings import Settings
from sacristy.stack.ceph import bringup
from sacristy.stack.ceph.cluster import (
    CERTIFICATE,
    KEY,
    SOCKET_PATH_LIMIT,
    Cluster,
    certificate_command,
    configuration,
    keyring_commands,
    monitor_commands,
    programs,
)
from sacristy.stack.ceph.provision import lifecycle, policy, read_plan

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def cluster(tmp_path):
    return Cluster(Path("/h/ceph"), PROJECT / "ceph" / "ceph.conf", Path("/h/secrets"), "f-s-i-d", 7443, 17300, 20)


@pytest.fixture
def plan():
    return read_plan(PROJECT / "ceph" / "store.toml")


def test_the_configuration_listens_on_loopback_over_tls_with_cephx(cluster):
    text = configuration(cluster)
    assert "beast ssl_endpoint=127.0.0.1:7443" in text
    assert "endpoint=0.0.0.0" not in text
    assert text.count("required = cephx") == 3
    assert "{" not in text
    assert f"bluestore block size = {20 << 30}" in text


def test_the_quota_lies_below_the_full_ratio(cluster):
    assert cluster.quota_bytes < 0.60 * (20 << 30)


def test_a_long_path_gets_its_sockets_elsewhere(cluster):
    long = Cluster(Path("/" + "x" * 100), cluster.template, cluster.secrets, "f", 1, 2, 20)
    assert cluster.run == Path("/h/ceph/run")
    assert len(str(long.run / "gateway.asok")) <= SOCKET_PATH_LIMIT


def test_programs_start_from_the_monitor_up_and_hold_no_secret(cluster):
    daemons = programs(cluster, Settings(project=PROJECT, home=Path("/h")))
    assert list(daemons) == ["ceph-mon", "ceph-osd", "ceph"]
    assert [daemon.order for daemon in daemons.values()] == [110, 120, 130]
    assert all(daemon.environment == {"CEPH_CONF": "/h/ceph/ceph.conf"} for daemon in daemons.values())


def test_every_key_is_made_once_and_given_to_the_monitor(cluster):
    commands = keyring_commands(cluster)
    assert {path.name for path in commands} == {
        "client.admin.keyring",
        "osd.0.keyring",
        "client.rgw.a.keyring",
        "mon.a.keyring",
    }
    last = monitor_commands(cluster, Path("/b"), Path("/m"))[-1]
    assert last == ["ceph-mon", "--mkfs", "-i", "a", "--monmap", "/m", "--keyring", "/b"]


def test_the_certificate_names_this_machine():
    assert "subjectAltName=DNS:localhost,IP:127.0.0.1" in certificate_command(Path("/c"), Path("/k"))


def test_without_ceph_the_packages_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramMissing, match="ceph-mon") as caught:
        bringup.find_programs()
    assert "apt-get install" in caught.value.advice


def test_who_serves_only_reads_and_nobody_but_ops_removes_blobs(plan):
    statements = policy("weights", plan.buckets["weights"])["Statement"]
    by_user = {}
    for statement in statements:
        for principal in statement["Principal"]["AWS"]:
            by_user.setdefault(principal.rpartition("/")[2], []).append(statement)
    serving = {action for statement in by_user["serving"] for action in statement["Action"]}
    assert serving == {"s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation"}
    deleting = [one for one in by_user["training"] if "s3:DeleteObject" in one["Action"]]
    assert [one["Resource"] for one in deleting] == [["arn:aws:s3:::weights/incoming/*"]]
    assert all(principal != "*" for one in statements for principal in one["Principal"]["AWS"])


def test_weights_are_not_versioned_and_backups_are_locked(plan):
    assert not plan.buckets["weights"].versioned
    assert plan.buckets["backups"].lock_days == 30


def test_unfinished_uploads_end_everywhere(plan):
    for bucket in plan.buckets.values():
        assert lifecycle(bucket)[0]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}


@pytest.mark.parametrize("text", ["users = 1", "[users.x]\ntitle='x'\nkey='y'\n[buckets]", "no toml"])
def test_a_plan_that_breaks_its_schema_is_named(tmp_path, text):
    (tmp_path / "store.toml").write_text(text)
    with pytest.raises(InvalidModelFile, match=r"store\.toml"):
        read_plan(tmp_path / "store.toml")


def test_keys_are_two_words_with_a_colon():
    assert StoreKeys.parse("ACCESS:se:cret\n") == StoreKeys("ACCESS", "se:cret")


@pytest.fixture
def near_its_end(tmp_path, monkeypatch):
    """Return what makes a cluster's files where its certificate ends within days, and the commands that it runs."""
    home, commands = tmp_path / "home", []
    (home / "secrets").mkdir(parents=True)
    for name in (CERTIFICATE, KEY):
        (home / "secrets" / name).write_text("as it was given")

    def run(argv, **_):
        commands.append(argv)
        if "-checkend" in argv:
            raise CommandFailed(program="openssl", code=1, last="will expire", command="openssl")
        return ""

    monkeypatch.setattr(bringup, "run", run)
    monkeypatch.setattr(bringup, "Supervisor", lambda _: SimpleNamespace(remove=lambda _: None))
    cluster = Cluster(home / "ceph", PROJECT / "ceph" / "ceph.conf", home / "secrets", "f", 7443, 17300, 20)
    return lambda *, given: bringup._prepare(cluster, Settings(project=PROJECT, home=home), given=given), commands


def test_a_certificate_of_our_own_is_renewed_before_it_ends(near_its_end):
    prepare, commands = near_its_end
    prepare(given=False)
    assert [argv[1] for argv in commands] == ["x509", "req"]


def test_a_certificate_that_was_given_is_left_alone(near_its_end):
    prepare, commands = near_its_end
    prepare(given=True)  # in a container it cannot be written: the store would not come up in its last 30 days
    assert commands == []


@pytest.mark.parametrize(
    ("known", "kept"),
    [(None, []), ([], []), ([("OLD", "x")], ["OLD"]), ([("NEW", "former")], []), ([("NEW", "the-secret-key")], None)],
)
def test_the_owners_key_goes_through_a_pipe(cluster, plan, tmp_path, monkeypatch, known, kept):
    (tmp_path / "ceph-ops").write_text("NEW:the-secret-key")
    commands, put = [], []

    def run(argv, given=None, **_):
        commands.append(" ".join(argv))
        if "info" in argv and known is None:
            raise CommandFailed(program=argv[0], code=2, last="no such user", command="")
        if "put" in argv:
            put.append([(key["access_key"], key["secret_key"]) for key in json.loads(given)["data"]["keys"]])
        there = [("THOUGHT-OF", "y")] if known is None else known
        return json.dumps(
            {"data": {"keys": [dict(zip(("access_key", "secret_key"), key, strict=True)) for key in there]}}
        )

    monkeypatch.setattr(bringup, "run", run)
    bringup._make_owner(dataclasses.replace(cluster, secrets=tmp_path), plan)
    assert "the-secret-key" not in "".join(commands)
    assert any("user create" in command for command in commands) == (known is None)
    assert put == ([] if kept is None else [[*((name, "x") for name in kept), ("NEW", "the-secret-key")]])
