"""What brings a model's weights before its server starts."""

import fcntl
import hashlib
import json
import os
from datetime import UTC, datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sacristy.errors import BlobDamaged, InvalidName, KeysUnusable, ModelNotLoadable, PathNotWritable, StoreAway
from sacristy.s3 import StoreKeys
from sacristy.serving.bucket import NOTHING, Bucket
from sacristy.serving.fetching import KEYS, bucket_of, listed, main
from sacristy.serving.node_cache import JUST_USED_S, NodeCache, hold
from sacristy.weights.cache import Cache
from sacristy.weights.store import silent

CONTENT = b"weights"
HEX = hashlib.sha256(CONTENT).hexdigest()
DIGEST = f"sha256:{HEX}"


@pytest.fixture
def cache(tmp_path):
    return NodeCache(tmp_path / "cache", limit=10)


def bring(cache, content=CONTENT, digest=DIGEST):
    return cache.bring(digest, lambda: [content[:3], content[3:]], "s3://weights")


def test_what_one_pod_brought_the_next_need_not_read(cache):
    assert bring(cache) is True
    assert cache.bring(DIGEST, lambda: pytest.fail("read again"), "s3://weights") is False
    path = cache.folder / HEX
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (CONTENT, 0o444)


def test_other_bytes_are_refused_with_key_and_digests_and_leave_nothing(cache):
    with pytest.raises(BlobDamaged) as caught:
        bring(cache, b"others")
    found = f"sha256:{hashlib.sha256(b'others').hexdigest()}"
    assert (caught.value.fields["expected"], caught.value.fields["found"]) == (DIGEST, found)
    assert caught.value.fields["key"] == f"blobs/sha256/{HEX}"
    assert [path.suffix for path in cache.folder.iterdir()] == [".lock"]


def test_one_that_was_damaged_on_the_node_is_read_anew(cache):
    bring(cache)
    (cache.folder / HEX).chmod(0o644)
    (cache.folder / HEX).write_bytes(b"weighty")
    assert bring(cache) is True
    assert (cache.folder / HEX).read_bytes() == CONTENT


def test_a_folder_that_a_kubelet_made_in_its_place_goes(cache):
    (cache.folder / HEX).mkdir(parents=True)
    assert bring(cache) is True


def test_it_is_the_cache_and_the_lock_of_the_stores_own(cache, tmp_path):
    bring(cache)
    with Cache(cache.folder).entry(DIGEST) as entry:
        assert entry.give(tmp_path / "copy", silent)
        descriptor = os.open(cache.folder / f"{HEX}.lock", os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)


def test_what_cannot_be_written_is_told_with_its_place(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PathNotWritable, match="file"):
        bring(NodeCache(tmp_path / "file" / "cache"))


def test_a_digest_that_is_none_never_becomes_a_path(cache):
    with pytest.raises(InvalidName):
        bring(cache, digest="sha256:../x")


def old(cache, name, size=8, used=1):
    path = cache.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(size))
    os.utime(path, (used, used))
    return path


def test_the_longest_unused_make_room_but_not_what_a_server_holds(cache, tmp_path):
    oldest, older, newer = (old(cache, name, used=used) for name, used in (("a", 1), ("b", 2), ("c", 3)))
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "means.json").hardlink_to(oldest)
    descriptors = hold(tmp_path / "served")
    assert cache.trim() == 8
    assert (oldest.exists(), older.exists(), newer.exists()) == (True, False, True)
    for descriptor in descriptors:
        os.close(descriptor)
    assert cache.trim() == 8
    assert not oldest.exists()


def test_what_was_just_of_use_stays_and_without_a_limit_all_does(cache):
    old(cache, "a"), old(cache, "b")
    assert cache.trim(now=JUST_USED_S) == 0
    assert NodeCache(cache.folder).trim() == 0


def test_two_pods_may_make_room_at_once(cache, monkeypatch):
    oldest, kept = old(cache, "a"), old(cache, "b", used=2)
    gone = cache.folder / "c"  # as the other leaves it between the listing and the look at each
    monkeypatch.setattr(type(gone), "iterdir", lambda _: iter([gone, oldest, kept]))
    monkeypatch.setattr(type(gone), "is_file", lambda _: True)
    assert cache.trim() == 8
    assert (oldest.exists(), kept.exists()) == (False, True)


def test_what_another_pod_has_just_found_or_is_bringing_stays(cache, monkeypatch):
    found, brought = old(cache, "a"), old(cache, "b")
    monkeypatch.setattr(cache, "_facts", lambda: [(1.0, 8, found), (1.0, 8, brought)])
    os.utime(found)
    with cache._locked(brought):
        assert cache.trim(coming=10) == 0


def test_what_a_killed_pod_left_half_written_goes(cache):
    left, new = old(cache, f".{HEX}.part"), old(cache, ".b.part", used=2 * JUST_USED_S)
    assert cache.trim(now=2 * JUST_USED_S) == 8
    assert (left.exists(), new.exists()) == (False, True)


def test_room_is_made_before_another_model_is_brought_but_not_of_its_own_files(cache):
    other, own = old(cache, "a", size=3), old(cache, HEX, size=3)
    assert cache.make_room({DIGEST: 3, "sha256:" + "0" * 64: 5}) == 3
    assert (other.exists(), own.exists()) == (False, True)


def test_a_folder_without_weights_holds_nothing(tmp_path):
    assert hold(tmp_path / "none") == []


def test_requests_are_signed_as_botocore_signs_them():
    bucket = Bucket("https://10.0.0.1:8443", "weights", StoreKeys("access", "secret"))
    path = f"/weights/blobs/sha256/{HEX}"
    now = datetime.now(UTC)
    request = AWSRequest("GET", f"{bucket.endpoint}{path}", headers={"x-amz-content-sha256": NOTHING})
    request.context["timestamp"] = now.strftime("%Y%m%dT%H%M%SZ")
    signer = SigV4Auth(Credentials("access", "secret"), "s3", "default")
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    text = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, text), request)
    assert f"Signature={signature}" in bucket.signed(path, now)["authorization"]
    assert "secret" not in repr(bucket)


def test_the_baseline_lists_what_a_server_needs(tmp_path):
    files = [
        {"name": name, "digest": DIGEST, "size": 7, "role": role} for name, role in (("m", "weights"), ("h", "heldout"))
    ]
    (tmp_path / "baseline.json").write_text(json.dumps({"weights": files}))
    assert listed(tmp_path) == [("m", DIGEST, 7)]
    (tmp_path / "baseline.json").write_text(json.dumps({"weights": [{}]}))
    with pytest.raises(ModelNotLoadable, match="no list of weights"):
        listed(tmp_path)


@pytest.mark.parametrize("content", [None, "", "access", ":secret"])
def test_keys_that_are_none_are_told(tmp_path, content):
    if content is not None:
        (tmp_path / "keys").write_text(content)
    with pytest.raises(KeysUnusable):
        bucket_of({KEYS: str(tmp_path / "keys")})


def test_a_failure_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SACRISTY_APP", str(tmp_path))
    (tmp_path / "keys").write_text("access:secret")
    place = {"SACRISTY_WEIGHTS": "s3://weights", "SACRISTY_WEIGHTS_ENDPOINT": "https://127.0.0.1:1"}
    assert main({KEYS: str(tmp_path / "keys"), "SACRISTY_CACHE": str(tmp_path / "cache")} | place) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "baseline.json" in line


def test_a_store_that_stays_away_is_given_up(monkeypatch):
    monkeypatch.setattr("sacristy.serving.bucket.PAUSE_S", 0)
    seconds = iter([0.0, 10.0, 61.0])
    bucket = Bucket("http://127.0.0.1:1", "weights", StoreKeys("access", "secret"))
    with pytest.raises(StoreAway, match="Connection refused"):
        list(bucket.read(DIGEST, 7, clock=lambda: next(seconds)))
