"""The store on a real Ceph: the promises of every store, and its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from unit.weights.store_promises import *  # noqa: F403
from unit.weights.store_promises import LARGE, digest_of

from sacristy.errors import StoreRefused
from sacristy.weights.folder import FolderStore
from sacristy.weights.mirror import mirror
from sacristy.weights.s3 import RANGE, S3Store
from sacristy.weights.store import open_store

pytestmark = pytest.mark.ceph
MEMORY_MIB = 200
USE = r"""
import json, re, sys
from pathlib import Path
from sacristy.settings import Settings
from sacristy.weights.s3 import S3Store
words = json.loads(sys.argv[1])
store = S3Store(words["bucket"], Settings(**words["settings"]), "ops")
digest, _ = store.put(Path(words["file"]))
store.get(digest, Path(words["file"] + ".back"))
peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
print(digest, int(peak[1]) // 1024)
"""

GET = """
import json, sys
from pathlib import Path
from sacristy.settings import Settings
from sacristy.weights.s3 import S3Store
words = json.loads(sys.argv[1])
S3Store(words["bucket"], Settings(**words["settings"]), "ops").get(sys.argv[2], Path(words["file"] + sys.argv[3]))
"""


def words(store, settings, path):
    given = {name: str(getattr(settings, name)) for name in ("project", "home", "weights_endpoint")}
    if settings.weights_ca:
        given["weights_ca"] = str(settings.weights_ca)
    return json.dumps({"bucket": store.bucket, "settings": given, "file": str(path)})


def test_a_location_opens_it(settings, store):
    opened = open_store(f"s3://{store.bucket}", settings, "ops")
    assert isinstance(opened, S3Store)
    assert list(opened.list()) == []


def test_memory_stays_small_whatever_the_size(store, settings, tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        for _ in range(40):
            file.write(os.urandom(LARGE))
    done = subprocess.run([sys.executable, "-c", USE, words(store, settings, path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    digest, memory = done.stdout.split()
    assert int(memory) < MEMORY_MIB
    assert store.has(digest)


def test_a_blob_that_is_there_is_not_sent_again(shaky, faulty, write):
    path = write("a.txt", os.urandom(LARGE))
    shaky.put(path)
    parts = faulty.count("PUT", "partNumber")
    shaky.put(path)
    assert faulty.count("PUT", "partNumber") == parts == 2


def test_a_blob_is_had_from_the_gateway_once(shaky, faulty, write, tmp_path):
    digest, _ = shaky.put(write("a.txt", os.urandom(2 << 20)))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: shaky.get(digest, tmp_path / f"b{number}"), range(4)))
    assert faulty.count("GET", "blobs/") == 1
    assert {(tmp_path / f"b{number}").stat().st_size for number in range(4)} == {2 << 20}


def test_a_damaged_cache_is_passed_over(store, write, tmp_path):
    content = os.urandom(2 << 20)
    digest, _ = store.put(write("a.txt", content))
    store.get(digest, tmp_path / "b")
    (tmp_path / "b").write_bytes(b"changed in place, and so in the cache")
    store.get(digest, tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == content


def test_two_at_once_upload_the_same_and_leave_one_blob(store, write, tmp_path):
    path = write("a.txt", os.urandom(LARGE))
    threads = [threading.Thread(target=store.put, args=(path,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (blob,) = store.list()
    store.get(blob.digest, tmp_path / "b")
    assert list(store.objects("incoming/")) == []


def test_a_folder_is_mirrored_into_it_and_back(store, write, tmp_path):
    folder = FolderStore(tmp_path / "folder")
    digests = [folder.put(write(f"{n}.txt", b"x" * n))[0] for n in range(5)]
    assert mirror(folder, store).copied == 5
    assert mirror(folder, store).present == 5
    back = FolderStore(tmp_path / "back")
    assert mirror(store, back).copied == 5
    assert sorted(blob.digest for blob in back.list()) == sorted(digests)


def test_a_damaged_blob_is_not_mirrored(store, write, overwrite, tmp_path):
    digest, _ = store.put(write("a.txt", b"weights"))
    overwrite(digest, b"other")
    assert mirror(store, FolderStore(tmp_path / "back")).lost == [digest]


def test_each_user_may_do_what_the_plan_says_and_no_more(settings, write, tmp_path):
    training, serving, ops = (S3Store("weights", settings, user) for user in ("training", "serving", "ops"))
    for size in (10, LARGE):
        digest, _ = training.put(write("a.txt", os.urandom(size)))
        serving.get(digest, tmp_path / "b")
        assert digest in [blob.digest for blob in serving.list()]
        for user in (training, serving):
            with pytest.raises(StoreRefused, match="AccessDenied"):
                user.delete(digest)
        ops.delete(digest)
    assert list(ops.objects("incoming/")) == []


def test_who_only_reads_cannot_write_or_see_other_buckets(settings, write):
    serving = S3Store("weights", settings, "serving")
    with pytest.raises(StoreRefused, match="AccessDenied"):
        serving.put(write("a.txt", b"a"))
    with pytest.raises(StoreRefused, match="AccessDenied"):
        list(S3Store("data", settings, "serving").list())
    with pytest.raises(StoreRefused, match="AccessDenied"):
        list(S3Store("backups", settings, "training").list())


def test_a_digest_names_the_same_bytes_in_both_stores(store, write):
    content = os.urandom(100)
    assert store.put(write("a.txt", content))[0] == digest_of(content)


def test_processes_of_a_node_share_what_one_of_them_brings(store, settings, faulty, write, tmp_path):
    digest, _ = store.put(write("a.txt", os.urandom(LARGE)))
    through = settings.model_copy(update={"weights_endpoint": faulty.url, "weights_ca": None})
    argv = [sys.executable, "-c", GET, words(store, through, tmp_path / "b"), digest]
    processes = [subprocess.Popen([*argv, str(number)]) for number in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert {digest_of((tmp_path / f"b{number}").read_bytes()) for number in range(4)} == {digest}
    assert faulty.count("GET", "blobs/") == -(-LARGE // RANGE)  # each range once, for all four
