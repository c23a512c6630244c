"""Old backups go, with what only they had."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest

from sacristy.errors import BackupUnusable
from sacristy.stack.backup_index import INDEX, Backup
from sacristy.stack.backup_pruning import prune
from sacristy.stack.vault import FolderVault

NOW = datetime(2026, 11, 21, tzinfo=UTC)
OLD_S = 8 * 24 * 3600
OURS, THEIRS = ("files/md5/" + two + "/" + 30 * "0" for two in ("aa", "bb"))


class Place(FolderVault):
    """A folder of backups that are made by hand."""

    def __init__(self, folder):
        super().__init__(folder)
        self.root = folder

    def blob(self, content, age_s=OLD_S):
        path = self.root.parent / "blob.txt"
        path.write_bytes(content)
        digest, _ = self.blobs.put(path)
        then = datetime.now().timestamp() - age_s
        os.utime(self.blobs.path(digest), (then, then))
        return digest

    def backup(self, days_ago, blobs=(), data=(), *, whole=True):
        at = NOW - timedelta(days=days_ago)
        made = Backup(f"backup-{at:%Y%m%dT%H%M%S%fZ}", at.isoformat(), {}, list(blobs), list(data))
        files = {"mongodb/runs.bson": "", **({INDEX: json.dumps(asdict(made))} if whole else {})}
        for name, text in [
            *((f"{made.name}/{name}", text) for name, text in files.items()),
            *((key, "") for key in data),
        ]:
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)
        return made.name

    def names(self):
        return {path.name for path in self.root.glob("backup-*")}


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "backups")


def test_the_newest_stay_and_what_only_others_had_goes(place):
    both, old, new, fresh = place.blob(b"both"), place.blob(b"old"), place.blob(b"new"), place.blob(b"fresh", age_s=60)
    first = place.backup(3, [both, old, fresh], [OURS, THEIRS])
    kept = {place.backup(2, [both]), place.backup(1, [both, new], [OURS])}
    done = prune(place, 2, NOW)
    assert (done.backups, done.blobs, done.bytes, done.data) == ([first], 1, 3, 1)
    assert place.names() == kept
    assert {blob.digest for blob in place.blobs.list()} == {both, new, fresh}
    assert place.below("files/md5/") == [OURS]


def test_one_that_was_killed_goes_after_a_day_and_one_under_way_keeps_everything(place):
    old = place.blob(b"old")
    killed, under_way = place.backup(2, whole=False), place.backup(0.5, whole=False)
    kept = place.backup(1)
    done = prune(place, 1, NOW)
    assert (done.backups, done.blobs) == ([killed], 0)
    assert place.names() == {under_way, kept}
    assert place.blobs.has(old)


def test_nothing_goes_where_a_kept_ones_index_cannot_be_read(place):
    first, second = place.backup(2), place.backup(1)
    (place.root / second / INDEX).write_text("{")
    with pytest.raises(BackupUnusable):
        prune(place, 1, NOW)
    assert place.names() == {first, second}


@pytest.mark.parametrize("keep", [0, 1])
def test_the_newest_never_goes(place, keep):
    name = place.backup(400)
    assert prune(place, keep, NOW).backups == []
    assert place.names() == {name}
