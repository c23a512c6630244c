"""The data of models from remote to remote: DVC's files, which lie under their MD5, for a backup and a restore."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from sacristy.datasets import md5_of
from sacristy.errors import BackupUnusable, InvalidLocation
from sacristy.settings import Settings
from sacristy.stack.vault import BucketVault, FolderVault, Vault
from sacristy.weights.mirror import Mirrored
from sacristy.weights.s3 import S3Store

FILES = "files/md5/"  # DVC's own: below its remote, and in a backup
KEY = re.compile(FILES + r"(?P<head>[0-9a-f]{2})/(?P<tail>[0-9a-f]{30})(\.dir)?")


def open_data(settings: Settings) -> Vault:
    """Return the place where DVC keeps data. Raises InvalidLocation."""
    location = settings.data_location
    scheme, colon, rest = location.partition("://")
    if not colon:
        return FolderVault(Path(location))
    bucket, _, folder = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise InvalidLocation(location=location, reason="data goes to a folder or to s3://bucket")
    return BucketVault(S3Store(bucket, settings, "ops"), f"{folder.strip('/')}/" if folder.strip("/") else "")


def data_keys(place: Vault) -> list[str]:
    """Return the keys of all data that a place has."""
    return [key for key in place.below(FILES) if KEY.fullmatch(key)]


def copy_data(source: Vault, target: Vault, keys: Iterable[str]) -> Mirrored:
    """Copy what the target lacks, each checked against its MD5. What the source cannot give right is reported."""
    there = set(target.below(FILES))
    report = Mirrored()
    with tempfile.TemporaryDirectory(prefix="sacristy-data-") as folder:
        path = Path(folder) / "file"
        for key in sorted(set(keys)):
            if key in there:
                report.present += 1
            elif _brought(source, key, path):
                target.put(key, path)
                report.copied += 1
                report.bytes += path.stat().st_size
            else:
                report.lost.append(key)
    return report


def damaged_data(place: Vault, keys: Iterable[str]) -> list[str]:
    """Read again, and return the keys of what is missing or not what its MD5 says."""
    with tempfile.TemporaryDirectory(prefix="sacristy-data-") as folder:
        return [key for key in keys if not _brought(place, key, Path(folder) / "file")]


def _brought(source: Vault, key: str, path: Path) -> bool:
    """Bring a file, and say whether it is what its key says."""
    found = KEY.fullmatch(key)
    try:
        source.get(key, path)
    except BackupUnusable:  # it is missing
        return False
    return found is not None and md5_of(path) == found["head"] + found["tail"]
