"""Where backups are kept: a folder, or a bucket at this or another gateway. Files by key, and blobs by content."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from boto3.exceptions import RetriesExceededError
from botocore.exceptions import ClientError

from sacristy.errors import BackupUnusable, InvalidLocation, StoreAway
from sacristy.settings import Settings
from sacristy.weights.atomic import part, writing
from sacristy.weights.folder import FolderStore
from sacristy.weights.s3 import S3Store
from sacristy.weights.s3_client import MISSING, asking, code_of
from sacristy.weights.store import CHUNK, Store


@dataclass(frozen=True)
class Gateway:
    """An S3 gateway that is not the project's own. `keys`: a file with access:secret."""

    endpoint: str = ""
    ca: Path | None = None
    keys: Path | None = None


class Vault(Protocol):
    """A place of backups."""

    location: str
    blobs: Store

    def put(self, key: str, path: Path) -> None:
        """Keep a file under a key, absent or complete."""

    def get(self, key: str, path: Path) -> None:
        """Bring a file back, or raise BackupUnusable."""

    def delete(self, key: str) -> None:
        """Remove a file; one that is not there is no error."""

    def below(self, folder: str) -> list[str]:
        """Return the keys below a folder (which ends in `/`, or is empty for all), sorted."""


class FolderVault:
    """Backups in a folder."""

    def __init__(self, folder: Path) -> None:
        self.location = str(folder)
        self.blobs: Store = FolderStore(folder)
        self._folder = folder

    def put(self, key: str, path: Path) -> None:
        """See Vault.put. Raises PathNotWritable."""
        target = self._folder / key
        with path.open("rb") as source, part(target.parent, target.name) as file:
            while chunk := source.read(CHUNK):
                file.write(chunk)
            file.publish(target, mode=0o600)

    def get(self, key: str, path: Path) -> None:
        """See Vault.get."""
        if not (self._folder / key).is_file():
            raise BackupUnusable(location=self.location, reason=f"{key} is missing")
        with writing(path):
            shutil.copyfile(self._folder / key, path)

    def delete(self, key: str) -> None:
        """See Vault.delete. Folders that it leaves empty go too. Raises PathNotWritable."""
        path = self._folder / key
        with writing(path):
            path.unlink(missing_ok=True)
        for folder in path.relative_to(self._folder).parents[:-1]:
            with suppress(OSError):  # it is not empty
                (self._folder / folder).rmdir()

    def below(self, folder: str) -> list[str]:
        """See Vault.below."""
        found = (path for path in (self._folder / folder).rglob("*") if path.is_file())
        return sorted(path.relative_to(self._folder).as_posix() for path in found)


class BucketVault:
    """Backups in a bucket. `prefix`: what all keys begin with."""

    def __init__(self, store: S3Store, prefix: str = "") -> None:
        self.location = store.location
        self.blobs: Store = store
        self._store = store
        self._prefix = prefix

    def put(self, key: str, path: Path) -> None:
        """See Vault.put. Raises StoreAway, StoreRefused or StoreFull."""
        with path.open("rb") as source, asking(self.location):  # upload_file hides a refusal in an error of its own
            self._store.client.upload_fileobj(source, self._store.bucket, self._prefix + key)

    def get(self, key: str, path: Path) -> None:
        """See Vault.get. Raises StoreAway, StoreRefused or PathNotWritable too."""
        with writing(path), asking(self.location):
            try:
                self._store.client.download_file(self._store.bucket, self._prefix + key, str(path))
            except ClientError as error:
                if code_of(error) in MISSING:
                    raise BackupUnusable(location=self.location, reason=f"{key} is missing") from None
                raise
            except RetriesExceededError as error:  # none of botocore's own
                raise StoreAway(location=self.location, reason=error.last_exception) from None

    def delete(self, key: str) -> None:
        """See Vault.delete. Raises StoreAway or StoreRefused."""
        with asking(self.location):
            self._store.client.delete_object(Bucket=self._store.bucket, Key=self._prefix + key)

    def below(self, folder: str) -> list[str]:
        """See Vault.below."""
        return [facts["Key"].removeprefix(self._prefix) for facts in self._store.objects(self._prefix + folder)]


def open_vault(location: str, settings: Settings, gateway: Gateway) -> Vault:
    """Return the place of backups at a folder or s3://bucket. Raises InvalidLocation or PathNotWritable."""
    scheme, colon, bucket = location.partition("://")
    if not colon:
        return FolderVault(Path(location))
    if scheme != "s3" or not bucket or "/" in bucket:
        raise InvalidLocation(location=location, reason="a backup goes to a folder or to s3://bucket")
    if not gateway.endpoint:
        return BucketVault(S3Store(bucket, settings, "ops"))
    other = settings.model_copy(update={"weights_endpoint": gateway.endpoint, "weights_ca": gateway.ca})
    return BucketVault(S3Store(bucket, other, "ops", keys=gateway.keys))
