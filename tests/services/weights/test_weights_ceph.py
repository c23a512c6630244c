"""The cluster itself: provisioning again changes nothing, versions and locks hold, data outlives restarts."""

from __future__ import annotations

import socket
import ssl

import httpx
import pytest
from botocore.exceptions import ClientError
from services.weights.conftest import LIFECYCLE

from sacristy.errors import ServiceNotReady
from sacristy.s3 import StoreKeys
from sacristy.settings import Settings
from sacristy.stack.ceph import bringup
from sacristy.stack.ceph.health import check_ceph
from sacristy.stack.ceph.provision import provision, read_plan
from sacristy.stack.ceph.s3 import open_client
from sacristy.stack.init import init
from sacristy.stack.ports import remember
from sacristy.stack.status import service_states
from sacristy.supervision import Supervisor
from sacristy.weights.s3 import S3Store

pytestmark = pytest.mark.ceph


@pytest.fixture
def ops(ceph):
    return open_client(ceph.s3_endpoint, ceph.s3_ca, StoreKeys.parse(ceph.secret("ceph-ops")))


def test_provisioning_again_changes_nothing(ceph):
    plan = read_plan(ceph.project / "ceph" / "store.toml")
    assert provision(ceph, plan, ceph.s3_endpoint, ceph.s3_ca, 5 * (1 << 30) * 55 // 100) == []


def test_what_was_changed_by_hand_is_put_right(ceph, ops):
    ops.delete_bucket_policy(Bucket="weights")
    ops.delete_bucket_lifecycle(Bucket="weights")
    plan = read_plan(ceph.project / "ceph" / "store.toml")
    changed = provision(ceph, plan, ceph.s3_endpoint, ceph.s3_ca, 5 * (1 << 30) * 55 // 100)
    assert changed == ["lifecycle of weights set", "rights on weights set"]


def test_the_store_is_ready_and_says_so(ceph):
    assert check_ceph(ceph) == ""
    assert service_states(ceph)["ceph"].ready


def test_versions_of_data_are_kept(ops):
    for content in (b"one", b"two"):
        ops.put_object(Bucket="data", Key="v", Body=content)
    versions = ops.list_object_versions(Bucket="data", Prefix="v")["Versions"]
    bodies = [ops.get_object(Bucket="data", Key="v", VersionId=v["VersionId"])["Body"].read() for v in versions]
    assert bodies == [b"two", b"one"]


def test_a_version_of_a_backup_cannot_be_removed(ops):
    version = ops.put_object(Bucket="backups", Key="b", Body=b"kept")
    with pytest.raises(ClientError, match="AccessDenied"):
        ops.delete_object(Bucket="backups", Key="b", VersionId=version["VersionId"])
    ops.delete_object(Bucket="backups", Key="b", VersionId=version["VersionId"], BypassGovernanceRetention=True)


def test_nobody_comes_in_without_keys_or_in_plain_text(ceph):
    trusted = ssl.create_default_context(cafile=str(ceph.s3_ca))
    assert httpx.get(f"{ceph.s3_endpoint}/weights", verify=trusted).status_code == 403
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://127.0.0.1:{ceph.port('ceph')}/")


def test_data_outlives_a_restart_of_everything(ceph, settings, write, tmp_path):
    store = S3Store("weights", settings, "ops")
    digest, _ = store.put(write("a.txt", b"before the restart"))
    supervisor = Supervisor(ceph)
    supervisor.shutdown()
    assert check_ceph(ceph)
    supervisor.start_daemon()
    bringup.up(ceph, supervisor, lambda _: None, LIFECYCLE)
    store.get(digest, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"before the restart"


def test_a_monitor_whose_port_is_taken_says_so(ceph, tmp_path):
    other = Settings(project=ceph.project, home=tmp_path / "h")
    init(other)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        remember(other, "ceph-mon", taken.getsockname()[1])
        with pytest.raises(ServiceNotReady, match="another program has taken its port"):
            bringup.describe(other, Supervisor(other))
