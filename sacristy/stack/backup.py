"""`sacristy backup` and `restore`: the database as BSON files with their hashes, the blobs it refers to, DVC's data.

A backup is complete when its backup.json is there, which is written last. Blobs and data are shared by all backups of a
place, so that a second one copies only what is new.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from sacristy.errors import BackupUnusable, DatabaseUnreachable
from sacristy.settings import DATABASE, Role, Settings
from sacristy.stack.backup_index import INDEX, Backup, read
from sacristy.stack.data_copies import copy_data, damaged_data, data_keys, open_data
from sacristy.stack.foreign import refuse_foreign
from sacristy.stack.vault import Vault
from sacristy.tracking.database import address, connect, reason
from sacristy.tracking.schema import BACKUPS
from sacristy.weights import upkeep
from sacristy.weights.mending import mend
from sacristy.weights.mirror import Mirrored, mirror
from sacristy.weights.references import by_digest, run_weights
from sacristy.weights.store import Progress, Store, silent
from sacristy.weights.upkeep import Verification

LEFT_OUT = ("locks", BACKUPS)  # of those who work now, and of this stack
BATCH = 500
BATCH_BYTES = 16 << 20


@dataclass
class Restored:
    """What a restore did. `damaged_data`: keys of data that cannot be read back right."""

    backup: Backup
    copied: Mirrored
    verified: Verification
    damaged_data: list[str]

    @property
    def ok(self) -> bool:
        """Say whether all of the backup is there and right."""
        return self.verified.ok and not self.damaged_data


def backup(
    settings: Settings, store: Store, vault: Vault, digests: list[str], progress: Progress = silent
) -> tuple[Backup, Mirrored]:
    """Make a backup of the database, of the given blobs and those that runs refer to, and of the data that DVC keeps.

    The database is read as it was at one moment. Raises DatabaseUnreachable, and what store and vault raise.
    """
    now = datetime.now(UTC)
    made = Backup(f"backup-{now:%Y%m%dT%H%M%S%fZ}", now.isoformat())
    with tempfile.TemporaryDirectory(prefix="sacristy-backup-") as folder:
        with _database(settings, Role.SERVICE) as client:
            for name, path in _dump(client, Path(folder)):
                documents, digest = _count(path)
                made.collections[name] = {"documents": documents, "sha256": digest}
                vault.put(f"{made.name}/mongodb/{name}.bson", path)
            referenced = by_digest(run_weights(client[DATABASE]))  # later than the dump: of each run that is in it
        made.blobs = sorted({*referenced, *digests})
        copied = mirror(store, vault.blobs, made.blobs, progress)
        made.blobs = [digest for digest in made.blobs if digest not in copied.lost]
        source = open_data(settings)
        keys = data_keys(source)
        kept = copy_data(source, vault, keys)
        made.data = [key for key in keys if key not in kept.lost]
        copied = _sum(copied, kept)
        index = Path(folder) / INDEX
        index.write_text(json.dumps(asdict(made), indent=1))
        vault.put(f"{made.name}/{INDEX}", index)
    return made, copied


def restore(settings: Settings, store: Store, vault: Vault, name: str = "", progress: Progress = silent) -> Restored:
    """Bring a backup (the newest if not named) back onto an empty stack, then read and hash all its blobs and data.

    An interrupted restore can be repeated. Raises BackupUnusable, StackNotEmpty, DatabaseUnreachable, and what store
    and vault raise.
    """
    with tempfile.TemporaryDirectory(prefix="sacristy-restore-") as folder:
        found = read(vault, name, Path(folder))
        files = {name: _fetched(vault, found, name, Path(folder)) for name in found.collections}
        with _database(settings, Role.ADMIN) as client:
            refuse_foreign(client, found.name, files)
            data = open_data(settings)
            kept = copy_data(vault, data, found.data)
            copied = _sum(mirror(vault.blobs, store, found.blobs, progress), kept)
            refuse_foreign(client, found.name, files)  # copying takes hours: a run may have begun
            for collection in sorted(files, key=lambda one: one == "runs"):  # runs last: their blobs are there before
                _load(client, collection, files[collection])
    return Restored(found, copied, _verified(store, vault, found.blobs), damaged_data(data, found.data))


def _verified(store: Store, vault: Vault, blobs: list[str]) -> Verification:
    """Read and hash blobs; what is damaged was there before, and is replaced by what the backup has."""
    found = upkeep.verify(store, blobs)
    if found.ok:
        return found
    mend(store, vault.blobs, found)
    return upkeep.verify(store, blobs)


def _sum(first: Mirrored, second: Mirrored) -> Mirrored:
    return Mirrored(
        first.copied + second.copied,
        first.bytes + second.bytes,
        first.present + second.present,
        first.lost + second.lost,
    )


def _database(settings: Settings, role: Role) -> MongoClient[dict[str, Any]]:
    return connect(settings, role).client


def _dump(client: MongoClient[dict[str, Any]], folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield each collection with a file of its documents, all as they were at one moment.

    All are read before the first is given: MongoDB keeps such a moment for five minutes, and sending may take longer.
    """
    database = client[DATABASE]
    paths = {}
    try:
        own = database.list_collection_names(filter={"type": "collection"})  # views come with the schema
        names = sorted(name for name in own if not name.startswith("system."))
        with client.start_session(snapshot=True) as session:
            for name in (name for name in names if name not in LEFT_OUT):
                paths[name] = folder / f"{name}.bson"
                raw = database.with_options(codec_options=bson.CodecOptions(RawBSONDocument))
                with paths[name].open("wb") as file:
                    for document in raw[name].find({}, session=session):
                        file.write(document.raw)
    except PyMongoError as error:
        raise DatabaseUnreachable(address=_address(client), reason=reason(error)) from None
    for name, path in paths.items():
        yield name, path
        path.unlink()


def _address(client: MongoClient[dict[str, Any]]) -> str:
    return ", ".join(f"{host}:{port}" for host, port in client.nodes) or address("")


def _count(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        return sum(1 for _ in _documents(file)), digest


def _documents(file: Any) -> Iterator[RawBSONDocument]:
    return bson.decode_file_iter(file, bson.CodecOptions(RawBSONDocument))


def _fetched(vault: Vault, found: Backup, collection: str, folder: Path) -> Path:
    path = folder / f"{collection}.bson"
    vault.get(f"{found.name}/mongodb/{collection}.bson", path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != found.collections[collection]["sha256"]:
        raise BackupUnusable(location=vault.location, reason=f"{path.name} is damaged: its SHA-256 is {digest}")
    return path


def _load(client: MongoClient[dict[str, Any]], collection: str, path: Path) -> None:
    """Put a file's documents where the collection's were; the indexes stay."""
    target: Any = client[DATABASE][collection]
    try:
        target.delete_many({})
        with path.open("rb") as file:
            _in_batches(_documents(file), lambda batch: target.insert_many(batch, ordered=False))
    except PyMongoError as error:
        raise DatabaseUnreachable(address=_address(client), reason=reason(error)) from None


def _in_batches(documents: Iterator[RawBSONDocument], write: Callable[[list[RawBSONDocument]], object]) -> None:
    batch: list[RawBSONDocument] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.raw)
        if len(batch) == BATCH or size > BATCH_BYTES:
            write(batch)
            batch, size = [], 0
    if batch:
        write(batch)
