"""Who may do what on the cluster: every action that ceph/store.toml does not give is refused, one by one."""

from __future__ import annotations

import json
import time

import pytest
from botocore.exceptions import ClientError

from sacristy.s3 import StoreKeys
from sacristy.stack.ceph.provision import Bucket, lifecycle
from sacristy.stack.ceph.s3 import AdminApi, open_client

pytestmark = pytest.mark.ceph
EVERYBODY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": ["s3:*"]}]}
OBJECT = {"Key": "blobs/sha256/rights"}
RULE = {"ID": "x", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}
READ = {"get_object": OBJECT, "list_objects_v2": {}}
WRITE = {"put_object": OBJECT | {"Body": b"x"}, "create_multipart_upload": OBJECT, "delete_object": OBJECT}
ADMINISTER = {
    "put_bucket_policy": {"Policy": json.dumps(EVERYBODY)},
    "delete_bucket_policy": {},
    "put_bucket_acl": {"ACL": "public-read"},
    "put_object_acl": OBJECT | {"ACL": "public-read"},
    "put_bucket_lifecycle_configuration": {"LifecycleConfiguration": {"Rules": [RULE]}},
    "put_bucket_versioning": {"VersioningConfiguration": {"Status": "Enabled"}},
    "delete_bucket": {},
}
DENIED = [
    *(("nobody", bucket, action) for bucket in ("weights", "data", "backups") for action in READ | WRITE | ADMINISTER),
    *(("serving", "weights", action) for action in WRITE | ADMINISTER),
    *(("serving", bucket, action) for bucket in ("data", "backups") for action in READ | WRITE | ADMINISTER),
    *(("training", bucket, "delete_object") for bucket in ("weights", "data")),
    *(("training", bucket, action) for bucket in ("weights", "data") for action in ADMINISTER),
    *(("training", "backups", action) for action in READ | WRITE | ADMINISTER),
]


@pytest.fixture(scope="module")
def clients(ceph):
    """A client for each user of store.toml, and for one who has keys that the gateway does not know."""
    users = ("ops", "training", "serving")
    keys = {name: StoreKeys.parse(ceph.secret(f"ceph-{name}")) for name in users}
    keys["nobody"] = StoreKeys("NOBODY", "nothing")
    return {name: open_client(ceph.s3_endpoint, ceph.s3_ca, own) for name, own in keys.items()}


@pytest.fixture(scope="module", autouse=True)
def objects(clients):
    """An object in each bucket to try it on, which is still the same at the end."""
    versions = {
        bucket: clients["ops"].put_object(Bucket=bucket, Body=b"mine", **OBJECT).get("VersionId")
        for bucket in ("weights", "data", "backups")
    }
    yield
    for bucket, version in versions.items():
        assert clients["ops"].get_object(Bucket=bucket, **OBJECT)["Body"].read() == b"mine"
        which = {"VersionId": version, "BypassGovernanceRetention": True} if version else {}
        clients["ops"].delete_object(Bucket=bucket, **OBJECT, **which)


@pytest.mark.parametrize(("user", "bucket", "action"), DENIED)
def test_what_is_not_given_is_refused(clients, user, bucket, action):
    words = (READ | WRITE | ADMINISTER)[action]
    with pytest.raises(ClientError, match="InvalidAccessKeyId" if user == "nobody" else "AccessDenied"):
        getattr(clients[user], action)(Bucket=bucket, **words)


@pytest.mark.parametrize("user", ["training", "serving"])
def test_only_ops_makes_buckets(clients, user):
    with pytest.raises(ClientError, match=r"AccessDenied|TooManyBuckets"):
        clients[user].create_bucket(Bucket=f"of-{user}")


@pytest.mark.parametrize("user", ["training", "serving"])
def test_only_ops_makes_users(ceph, user):
    api = AdminApi(ceph.s3_endpoint, ceph.s3_ca, StoreKeys.parse(ceph.secret(f"ceph-{user}")))
    with pytest.raises(Exception, match="AccessDenied"):
        api.ask("PUT", "user", uid="another", **{"display-name": "another"})


@pytest.mark.parametrize(
    ("user", "bucket", "action"),
    [
        *(("serving", "weights", action) for action in READ),
        *(("training", bucket, action) for bucket in ("weights", "data") for action in READ),
    ],
)
def test_what_is_given_is_given(clients, user, bucket, action):
    getattr(clients[user], action)(Bucket=bucket, **READ[action])


def test_unfinished_uploads_and_leftovers_go_by_themselves(clients):
    ops, bucket = clients["ops"], "lifecycle-rights"
    ops.create_bucket(Bucket=bucket)
    rules = lifecycle(Bucket(abort_uploads_days=1, expire_days={"incoming/": 1}))
    ops.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    upload = ops.create_multipart_upload(Bucket=bucket, Key="incoming/a")
    ops.upload_part(Bucket=bucket, Key="incoming/a", UploadId=upload["UploadId"], PartNumber=1, Body=b"x" * (5 << 20))
    for key in ("incoming/b", "blobs/sha256/c"):
        ops.put_object(Bucket=bucket, Key=key, Body=b"x")
    deadline = time.monotonic() + 90
    while left := [
        *ops.list_multipart_uploads(Bucket=bucket).get("Uploads", []),
        *ops.list_objects_v2(Bucket=bucket, Prefix="incoming/").get("Contents", []),
    ]:
        assert time.monotonic() < deadline, left
        time.sleep(0.5)
    assert ops.get_object(Bucket=bucket, Key="blobs/sha256/c")["Body"].read() == b"x"
    ops.delete_object(Bucket=bucket, Key="blobs/sha256/c")
    ops.delete_bucket(Bucket=bucket)
