"""Ceph as data: the configuration, the programs, the rights of ceph/store.toml. Nothing is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from sacristy.errors import InvalidModelFile, ProgramMissing
from sacristy.settings import Settings
from sacristy.stack.ceph import bringup
from sacristy.stack.ceph.cluster import (
    SOCKET_PATH_LIMIT,
    Cluster,
    certificate_command,
    configuration,
    keyring_commands,
    monitor_commands,
    programs,
)
from sacristy.stack.ceph.provision import lifecycle, policy, read_plan
from sacristy.stack.ceph.s3 import Keys

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
    assert Keys.parse("ACCESS:se:cret\n") == Keys("ACCESS", "se:cret")
