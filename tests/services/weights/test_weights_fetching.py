"""What a pod fetches its weights with, against the real gateway: signed by hand, resumed, refused in one line."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from itertools import count

import pytest
from services.weights.faulty import ALWAYS, Fault

from sacristy.errors import BlobDamaged, BlobNotFound, StoreAway, StoreRefused
from sacristy.s3 import given_keys
from sacristy.serving.bucket import Bucket
from sacristy.serving.fetching import main
from sacristy.serving.node_cache import NodeCache

pytestmark = pytest.mark.ceph
CONTENT = b"weights " * (300 << 10)
ABSENT = f"sha256:{'0' * 64}"


@pytest.fixture
def bucket(settings, store):
    keys = given_keys(settings.home / "secrets" / "ceph-ops")
    return Bucket(settings.weights_endpoint, store.bucket, keys, ca=str(settings.weights_ca))


@pytest.fixture
def digest(store, write):
    return store.put(write("model.json", CONTENT))[0]


@pytest.fixture
def quick(monkeypatch):
    """No second between two attempts."""
    monkeypatch.setattr("sacristy.serving.bucket.PAUSE_S", 0)


def test_a_blob_comes_by_tls_with_a_signed_request(bucket, digest, tmp_path):
    cache = NodeCache(tmp_path / "cache")
    assert cache.bring(digest, lambda: bucket.read(digest, len(CONTENT)), bucket.location) is True
    assert (cache.folder / digest[7:]).read_bytes() == CONTENT


def test_an_empty_one_does_too(bucket, store, write):
    digest, _ = store.put(write("empty.txt", b""))
    assert b"".join(bucket.read(digest, 0)) == b""


@pytest.mark.parametrize(
    "fault",
    [
        Fault("GET", "blobs/", truncate_after=100_000, times=2),
        Fault("GET", "blobs/", status=503, code="SlowDown", times=2),
        Fault("GET", "blobs/", reset_after=0, times=2),
    ],
    ids=["breaks off", "busy", "reset"],
)
def test_what_breaks_off_goes_on_where_it_was(bucket, digest, faulty, fault, quick):
    faulty.faults.append(fault)
    read = b"".join(replace(bucket, endpoint=faulty.url, ca="").read(digest, len(CONTENT)))
    assert hashlib.sha256(read).hexdigest() == digest[7:]
    assert fault.times == 0


def test_a_gateway_that_stays_busy_is_given_up(bucket, digest, faulty, quick):
    faulty.faults.append(Fault("GET", "blobs/", status=503, code="SlowDown", times=ALWAYS))
    with pytest.raises(StoreAway, match="SlowDown"):
        list(replace(bucket, endpoint=faulty.url, ca="").read(digest, len(CONTENT), clock=count(0, 10).__next__))


def test_what_is_not_there_or_not_allowed_is_told_at_once(bucket, digest):
    with pytest.raises(BlobNotFound):
        list(bucket.read(ABSENT, 7))
    with pytest.raises(StoreRefused, match="SignatureDoesNotMatch"):
        list(replace(bucket, keys=replace(bucket.keys, secret_key="wrong")).read(digest, len(CONTENT)))
    with pytest.raises(StoreRefused, match="NoSuchBucket"):
        list(replace(bucket, name="nowhere").read(digest, len(CONTENT)))


def test_a_gateway_that_nobody_vouches_for_is_told_nothing(bucket, digest, quick):
    with pytest.raises(StoreAway, match="CERTIFICATE_VERIFY_FAILED"):
        list(replace(bucket, ca="").read(digest, len(CONTENT)))


def test_a_blob_of_another_size_is_refused_before_it_is_read(bucket, digest):
    with pytest.raises(BlobDamaged, match="instead of 7"):
        list(bucket.read(digest, 7))


def test_the_program_brings_what_the_baseline_lists_once(bucket, digest, settings, tmp_path, monkeypatch, capsys):
    file = {"name": "model.json", "digest": digest, "size": len(CONTENT), "role": "weights"}
    (tmp_path / "baseline.json").write_text(json.dumps({"weights": [file]}))
    monkeypatch.setenv("SACRISTY_APP", str(tmp_path))
    place = {"SACRISTY_WEIGHTS": f"s3://{bucket.name}", "SACRISTY_WEIGHTS_ENDPOINT": bucket.endpoint}
    keys = {"SACRISTY_STORE_KEYS": str(settings.home / "secrets" / "ceph-ops"), "SACRISTY_WEIGHTS_CA": bucket.ca}
    codes = [main(place | keys | {"SACRISTY_CACHE": str(tmp_path / "cache")}) for _ in range(2)]
    assert codes == [0, 0]
    first, second = capsys.readouterr().err.splitlines()
    assert (first.rpartition(", ")[2], second.rpartition(", ")[2]) == ("from the store", "from the cache of this node")
