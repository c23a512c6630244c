"""Where backups are kept: a bucket that refuses or breaks off is one line, in our words."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from boto3.exceptions import RetriesExceededError
from botocore.exceptions import ClientError

from sacristy.errors import PathNotWritable, StoreAway, StoreRefused
from sacristy.settings import Settings
from sacristy.stack.vault import BucketVault
from sacristy.weights.s3 import S3Store


@pytest.fixture
def vault(tmp_path):
    settings = Settings(project=tmp_path, home=tmp_path / "home", weights_endpoint="http://127.0.0.1:9")
    return BucketVault(S3Store("backups", settings))


def refusing(kind, **_words):
    raise ClientError({"Error": {"Code": "NoSuchBucket"}, "ResponseMetadata": {"HTTPStatusCode": 404}}, kind)


def test_a_bucket_that_is_not_there_refuses_a_backup_in_our_words(vault, tmp_path):
    vault._store.client.meta.events.register("before-call.s3.PutObject", lambda **_: refusing("PutObject"))
    (tmp_path / "runs.bson").write_bytes(b"x")
    with pytest.raises(StoreRefused, match="NoSuchBucket"):
        vault.put("backup/runs.bson", tmp_path / "runs.bson")


@pytest.mark.parametrize(
    ("error", "kind"),
    [(RetriesExceededError(OSError("cut short")), StoreAway), (OSError(28, "No space left"), PathNotWritable)],
    ids=["cut short again and again", "full disk"],
)
def test_what_ends_the_bringing_of_a_file_is_one_line(vault, tmp_path, error, kind):
    def download_file(*_words):
        raise error

    vault._store.client = SimpleNamespace(download_file=download_file)
    with pytest.raises(kind):
        vault.get("backup/runs.bson", tmp_path / "runs.bson")
