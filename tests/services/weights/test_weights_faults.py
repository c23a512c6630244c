"""What goes wrong on the way to a bucket: a blob is absent or complete, an error is one line, nothing stays behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from services.weights.faulty import ALWAYS, Fault

from sacristy.errors import PathNotWritable, StoreAway, StoreFull, StoreRefused
from sacristy.s3 import StoreKeys
from sacristy.stack.ceph.s3 import AdminApi
from sacristy.weights.s3 import PART, S3Store

pytestmark = pytest.mark.ceph
SIZE = 3 * PART + 5
BUSY = {"status": 503, "code": "SlowDown"}
PASSING = [
    Fault("PUT", "", 500, "InternalError"),
    Fault("PUT", "", **BUSY, times=2),
    Fault("POST", "", **BUSY),
    Fault("PUT", "partNumber=2", reset_after=PART // 2),
    Fault("PUT", "blobs/", 500, "InternalError"),
    Fault("GET", "blobs/", 500, "InternalError"),
    Fault("GET", "blobs/", **BUSY, times=2),
    Fault("GET", "blobs/", truncate_after=1000, times=3),
    Fault("GET", "blobs/", reset_after=0),
    Fault("HEAD", "blobs/", 503),
]
UPLOAD = """
import json, sys
from pathlib import Path
from sacristy.settings import Settings
from sacristy.weights.s3 import S3Store
words = json.loads(sys.argv[1])
store = S3Store(words["bucket"], Settings(**words["settings"]), "ops")
print(store.put(Path(words["file"]))[0])
"""
DOWNLOAD = """
import json, resource, sys
from pathlib import Path
from sacristy.errors import PathNotWritable
from sacristy.settings import Settings
from sacristy.weights.s3 import S3Store
words = json.loads(sys.argv[1])
store = S3Store(words["bucket"], Settings(**words["settings"]), "ops")
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    store.get(words["digest"], Path(words["file"]))
except PathNotWritable as error:
    print(error)
"""


@pytest.fixture
def path(write):
    return write("large", os.urandom(SIZE))


def words(store, settings, **more):
    given = {name: str(getattr(settings, name)) for name in ("project", "home", "weights_endpoint")}
    if settings.weights_ca:
        given["weights_ca"] = str(settings.weights_ca)
    return json.dumps({"bucket": store.bucket, "settings": given, **more})


def is_sound(store, digest, tmp_path):
    store.cache.forget(digest)
    store.get(digest, tmp_path / "sound")
    return (tmp_path / "sound").stat().st_size == SIZE


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: f"{fault.method}-{fault.part}-{fault.status}-{fault.code}")
def test_what_passes_is_outlived(shaky, store, faulty, path, tmp_path, fault):
    faulty.faults = [replace(fault)]
    digest, _ = shaky.put(path)
    shaky.get(digest, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == path.read_bytes()
    assert [blob.digest for blob in store.list()] == [digest]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("PUT", "partNumber=3", **BUSY, times=ALWAYS), StoreAway),
        (Fault("PUT", "partNumber=2", reset_after=10, times=ALWAYS), StoreAway),
        (Fault("PUT", "blobs/", 500, "InternalError", times=ALWAYS), StoreAway),
        (Fault("PUT", "partNumber=2", 400, "ExpiredToken", times=ALWAYS), StoreRefused),
        (Fault("PUT", "partNumber=2", 403, "QuotaExceeded", times=ALWAYS), StoreFull),
    ],
    ids=["503", "reset", "500 at the end", "expired", "quota"],
)
def test_what_does_not_pass_leaves_no_blob_and_is_taken_up_again(shaky, store, faulty, path, tmp_path, fault, kind):
    faulty.faults = [fault]
    with pytest.raises(kind) as caught:
        shaky.put(path)
    assert "\n" not in str(caught.value)
    assert list(store.list()) == []
    faulty.faults = []
    assert is_sound(store, shaky.put(path)[0], tmp_path)


def test_a_download_that_is_always_cut_short_leaves_no_file(shaky, store, faulty, path, tmp_path):
    digest, _ = store.put(path)
    faulty.faults = [Fault("GET", "blobs/", truncate_after=PART // 4, times=ALWAYS)]
    with pytest.raises(StoreAway):
        shaky.get(digest, tmp_path / "out" / "b")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_stream_goes_on_where_it_was_cut(shaky, store, faulty, path):
    digest, _ = store.put(path)
    faulty.faults = [Fault("GET", "blobs/", truncate_after=PART, times=3)]
    with shaky.open(digest) as source:
        content = b"".join(iter(lambda: source.read(1 << 20), b""))
    assert content == path.read_bytes()


@pytest.mark.parametrize("program", ["ceph", "ceph-osd"])
def test_a_killed_daemon_in_the_middle_is_outlived(store, kill, path, tmp_path, program):
    def kill_once():
        steps = iter([lambda: kill(program)])
        return lambda _count: next(steps, lambda: None)()

    digest, size = store.put(path, kill_once())
    assert size == SIZE
    store.get(digest, tmp_path / "b", kill_once())
    assert (tmp_path / "b").read_bytes() == path.read_bytes()


def test_an_upload_that_was_killed_goes_on_where_it_was(shaky, store, settings, faulty, write, tmp_path):
    parts = 6
    path = write("large", os.urandom(parts * PART))
    through = settings.model_copy(update={"weights_endpoint": faulty.url, "weights_ca": None})
    argv = [sys.executable, "-c", UPLOAD, words(store, through, file=str(path))]
    faulty.faults = [Fault("PUT", "partNumber=5", **BUSY, times=ALWAYS)]  # the fifth part never arrives
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list_parts(store)) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert list(store.list()) == []
    there = len(list_parts(store))
    faulty.faults, faulty.asked[:] = [], []
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    # One that was on its way may have arrived after the kill.
    assert 1 <= faulty.count("PUT", "partNumber") <= parts - there <= 2
    store.get(done.stdout.strip(), tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == path.read_bytes()


def list_parts(store):
    uploads = store.client.list_multipart_uploads(Bucket=store.bucket).get("Uploads", [])
    return [
        part
        for upload in uploads
        for part in store.client.list_parts(Bucket=store.bucket, Key=upload["Key"], UploadId=upload["UploadId"]).get(
            "Parts", []
        )
    ]


def test_a_killed_upload_can_be_cleared_away(store, faulty, shaky, path):
    faulty.faults = [Fault("PUT", "partNumber=3", 400, "ExpiredToken", times=ALWAYS)]
    with pytest.raises(StoreRefused):
        shaky.put(path)
    assert store.clear_unfinished(3600) == 0
    assert store.clear_unfinished(-100) >= PART
    assert store.clear_unfinished(-100) == 0


@pytest.mark.parametrize(
    ("keys", "code"), [("NOBODY:nothing", "InvalidAccessKeyId"), ("{access}:wrong", "SignatureDoesNotMatch")]
)
def test_wrong_keys_are_one_line(store, settings, write, keys, code):
    secret = settings.home / "secrets" / "ceph-ops"
    secret.write_text(keys.format(access=secret.read_text().split(":")[0]))
    with pytest.raises(StoreRefused, match=code):
        S3Store(store.bucket, settings, "ops").put(write("a.txt", b"a"))


def test_no_keys_are_one_line(store, settings, write, monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", "/nonexistent")
    with pytest.raises(StoreRefused, match="no keys"):
        S3Store(store.bucket, settings, "nobody").put(write("a.txt", b"a"))


def test_a_missing_bucket_is_one_line(settings, write, path, tmp_path):
    store = S3Store("no-such-bucket", settings, "ops")
    for file in (path, write("a.txt", b"a")):
        with pytest.raises(StoreRefused, match="NoSuchBucket"):
            store.put(file)
    with pytest.raises(StoreRefused, match="NoSuchBucket"):
        store.get("sha256:" + "0" * 64, tmp_path / "b")
    with pytest.raises(StoreRefused, match="NoSuchBucket"):
        list(store.list())


def test_a_gateway_that_is_away_is_one_line(settings, write):
    nobody = settings.model_copy(update={"weights_endpoint": "https://127.0.0.1:9"})
    with pytest.raises(StoreAway, match=r"127\.0\.0\.1:9"):
        S3Store("weights", nobody, "ops", attempts=1).put(write("a.txt", b"a"))


def test_a_certificate_of_another_is_refused(settings, write):
    stranger = settings.model_copy(update={"weights_ca": None})
    with pytest.raises(StoreAway, match="SSL"):
        S3Store("weights", stranger, "ops", attempts=1).put(write("a.txt", b"a"))


def test_a_full_store_is_one_line_and_has_no_blob(store, ceph, path):
    api = AdminApi(ceph.s3_endpoint, ceph.s3_ca, StoreKeys.parse(ceph.secret("ceph-ops")))
    quota = {"enabled": "true", "max-size-kb": "20480", "max-objects": "-1"}
    api.ask("PUT", "bucket?quota", uid="ops", bucket=store.bucket, **quota)
    with pytest.raises(StoreFull, match="QuotaExceeded"):
        store.put(path)
    assert list(store.list()) == []


def test_a_full_disk_at_the_end_of_a_download_leaves_no_file(store, settings, path, tmp_path):
    digest, _ = store.put(path)
    target = tmp_path / "out" / "b"
    argv = [sys.executable, "-c", DOWNLOAD, words(store, settings, file=str(target), digest=digest)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"cannot write to {tmp_path}"), done.stderr
    assert list(target.parent.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_line(store, write):
    digest, _ = store.put(write("a.txt", b"a"))
    with pytest.raises(PathNotWritable):
        store.get(digest, write("file", b"") / "b")
