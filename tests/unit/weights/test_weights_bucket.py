"""The store in a bucket, without a gateway: what it makes of failures on the way."""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime
from types import SimpleNamespace

import botocore.exceptions as failures
import pytest

from sacristy.errors import PathNotWritable, StoreAway, StoreRefused
from sacristy.settings import Settings
from sacristy.weights import s3, s3_upload
from sacristy.weights.s3 import S3Store
from sacristy.weights.s3_upload import Bucket

NOTHING = "sha256:" + "0" * 64
TIMED_OUT = failures.ReadTimeoutError(endpoint_url="https://gateway")
DISTRUSTED = failures.SSLError(endpoint_url="https://gateway", error="unknown authority")


@pytest.fixture
def bucket(tmp_path):
    return S3Store("weights", Settings(project=tmp_path, home=tmp_path / "home", weights_endpoint="https://gateway"))


def fail_with(monkeypatch, error):
    def download(*_words):
        raise error

    monkeypatch.setattr(s3, "download", download)


@pytest.mark.parametrize("error", [TIMED_OUT, DISTRUSTED], ids=["time-out", "certificate"])
def test_a_gateway_that_fails_in_a_download_is_not_taken_for_the_disk(bucket, monkeypatch, tmp_path, error):
    fail_with(monkeypatch, error)  # botocore's are OSErrors too
    with pytest.raises(StoreAway, match="gateway"):
        bucket.get(NOTHING, tmp_path / "out" / "b")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_disk_in_a_download_is_not_taken_for_the_gateway(bucket, monkeypatch, tmp_path):
    fail_with(monkeypatch, OSError(28, "No space left on device"))
    with pytest.raises(PathNotWritable, match="No space left"):
        bucket.get(NOTHING, tmp_path / "b")


def refusal(code):
    return failures.ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "Delete")


class Uploads:
    """As much of a client as clearing asks: one upload that is not finished, and a list of its parts that fails."""

    def __init__(self, error):
        self.error = error

    def get_paginator(self, name):
        return SimpleNamespace(paginate=getattr(self, name))

    def list_objects_v2(self, **_):
        yield {}

    def list_multipart_uploads(self, **_):
        yield {"Uploads": [{"Key": "incoming/a", "UploadId": "1", "Initiated": datetime.fromtimestamp(0, UTC)}]}

    def list_parts(self, **_):
        raise self.error


def test_an_upload_that_ends_while_others_are_cleared_is_no_failure(bucket):
    bucket.client = Uploads(refusal("NoSuchUpload"))
    assert bucket.clear_unfinished(3600) == 0


def test_what_may_not_be_cleared_is_one_line(bucket, monkeypatch):
    bucket.client = Uploads(refusal("AccessDenied"))
    with pytest.raises(StoreRefused, match="AccessDenied"):
        bucket.clear_unfinished(3600)
    facts = {"Key": "incoming/a", "Size": 1, "LastModified": datetime.fromtimestamp(0, UTC)}
    monkeypatch.setattr(bucket, "objects", lambda _: [facts])
    bucket.client.delete_object = bucket.client.list_parts
    with pytest.raises(StoreRefused, match="AccessDenied"):
        bucket.clear_unfinished(3600)


def test_a_blob_that_is_collected_while_its_file_is_read_again_is_sent(tmp_path):
    content = b"first and the rest"
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    hint = SimpleNamespace(get_object=lambda **_: {"Body": io.BytesIO(digest.encode())})
    there = iter([True, False])
    blobs = SimpleNamespace(has=lambda _: next(there), renew=lambda _: None)
    source = io.BytesIO(content)
    first, told = source.read(5), []
    bucket = Bucket(hint, None, "weights", tmp_path)
    assert s3_upload._already_there(bucket, blobs, "mark", source, first, told.append) == ""
    assert (source.tell(), told) == (5, [])
