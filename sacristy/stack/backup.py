"""`sacristy backup` and `restore`: the database as BSON files with their hashes, the blobs it refers to, DVC's data.

A backup is complete when its backup.json is there, which is written last. Blobs and data are shared by all backups of a
place, so that a second one copies only what is new.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from sacristy.errors import BackupUnusable, DatabaseUnreachable, StackNotEmpty
from sacristy.settings import DATABASE, Role, Settings
from sacristy.stack.data_copies import copy_data, damaged_data, data_keys, open_data
from sacristy.stack.vault import Vault
from sacristy.tracking.database import address, connect, reason
from sacristy.weights import upkeep
from sacristy.weights.mirror import Mirrored, mirror
from sacristy.weights.references import by_digest, run_weights
from sacristy.weights.store import Progress, Store, silent
from sacristy.weights.upkeep import Verification

SCHEMA = 1
LEFT_OUT = ("locks",)  # of those who work now
INDEX = "backup.json"
BATCH = 500
BATCH_BYTES = 16 << 20


@dataclass
class Backup:
    """What a backup holds: for each collection its number of documents and its file's SHA-256; blobs; keys of data."""

    name: str
    at: str
    collections: dict[str, dict[str, Any]] = field(default_factory=dict)
    blobs: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    schema: int = SCHEMA


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
            referenced = by_digest(run_weights(client[DATABASE]))
            for name, path in _dump(client, Path(folder)):
                documents, digest = _count(path)
                made.collections[name] = {"documents": documents, "sha256": digest}
                vault.put(f"{made.name}/mongodb/{name}.bson", path)
        made.blobs = sorted({*referenced, *digests})
        copied = mirror(store, vault.blobs, made.blobs, progress)
        made.blobs = [digest for digest in made.blobs if digest not in copied.lost]
        source = open_data(settings)
        kept = copy_data(source, vault, data_keys(source))
        made.data = [key for key in data_keys(source) if key not in kept.lost]
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
            _refuse_foreign_runs(client, found.name, files.get("runs"))
            data = open_data(settings)
            kept = copy_data(vault, data, found.data)
            copied = _sum(mirror(vault.blobs, store, found.blobs, progress), kept)
            for collection in sorted(files, key=lambda one: one == "runs"):  # runs last: their blobs are there before
                _load(client, collection, files[collection])
    return Restored(found, copied, upkeep.verify(store, found.blobs), damaged_data(data, found.data))


def read(vault: Vault, name: str, folder: Path) -> Backup:
    """Return what a backup holds. Raises BackupUnusable."""
    known = [key.split("/")[0] for key in vault.below("") if re.fullmatch(f"backup-[^/]+/{re.escape(INDEX)}", key)]
    if not known or (name and name not in known):
        reason = f"there is {', '.join(known) or 'none'}"
        raise BackupUnusable(location=vault.location, reason=reason)
    path = folder / INDEX
    vault.get(f"{name or known[-1]}/{INDEX}", path)
    try:
        found = Backup(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise BackupUnusable(location=vault.location, reason=f"{INDEX}: {error}") from None
    if found.schema != SCHEMA:
        raise BackupUnusable(location=vault.location, reason=f"it has schema {found.schema}, not {SCHEMA}")
    return found


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
    """Yield each collection with a file of its documents, all as they were at one moment."""
    database = client[DATABASE]
    try:
        own = database.list_collection_names(filter={"type": "collection"})  # views come with the schema
        names = sorted(name for name in own if not name.startswith("system."))
        with client.start_session(snapshot=True) as session:
            for name in (name for name in names if name not in LEFT_OUT):
                path = folder / f"{name}.bson"
                raw = database.with_options(codec_options=bson.CodecOptions(RawBSONDocument))
                with path.open("wb") as file:
                    for document in raw[name].find({}, session=session):
                        file.write(document.raw)
                yield name, path
                path.unlink()
    except PyMongoError as error:
        raise DatabaseUnreachable(address=_address(client), reason=reason(error)) from None


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


def _refuse_foreign_runs(client: MongoClient[dict[str, Any]], name: str, runs: Path | None) -> None:
    """Raise StackNotEmpty unless every run that is there is the backup's own, from a restore that was interrupted."""
    raw = client[DATABASE].with_options(codec_options=bson.CodecOptions(RawBSONDocument))
    there = {document["_id"]: document.raw for document in raw["runs"].find({})}
    if runs and there:
        with runs.open("rb") as file:
            for document in _documents(file):
                if there.get(document["_id"]) == document.raw:
                    del there[document["_id"]]
    for run in there:
        raise StackNotEmpty(name=name, run=run)


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
