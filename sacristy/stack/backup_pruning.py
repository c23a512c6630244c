"""Removing old backups, and what only they had."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sacristy.stack.backup_index import INDEX, Backup, complete, contents, index
from sacristy.stack.data_copies import data_keys
from sacristy.stack.vault import Vault
from sacristy.weights import upkeep

TAKES_AT_MOST = timedelta(days=1)  # an incomplete one that is younger may be under way


@dataclass
class Pruned:
    """Names of the backups that went, and how many blobs, bytes of them, and files of data went with them."""

    backups: list[str] = field(default_factory=list)
    blobs: int = 0
    bytes: int = 0
    data: int = 0


def prune(vault: Vault, keep: int, now: datetime | None = None) -> Pruned:
    """Keep the newest `keep` complete backups, at least 1; remove the others, and what killed ones left.

    Blobs and data that no kept one has go too, unless another backup is under way, which may count on them; blobs that
    are younger than a week stay. Raises BackupUnusable before anything is removed, and what the place raises.
    """
    found, report = contents(vault), Pruned()
    kept = complete(found)[-max(1, keep) :]
    held = _indexes(vault, kept)
    begun = [name for name in found if name not in complete(found)]
    under_way = [name for name in begun if _age(name, now or datetime.now(UTC)) < TAKES_AT_MOST]
    report.backups = [name for name in found if name not in (*kept, *under_way)]
    for name in report.backups:
        for key in sorted(found[name], key=lambda key: not key.endswith(INDEX)):  # without it none takes it for whole
            vault.delete(key)
    if not under_way:
        _remove_unheld(vault, held, report)
    return report


def _remove_unheld(vault: Vault, held: list[Backup], report: Pruned) -> None:
    wanted = {digest for backup in held for digest in backup.blobs}
    gone = upkeep.collect(vault.blobs, upkeep.unreferenced(vault.blobs, wanted))
    report.blobs, report.bytes = len(gone), sum(blob.size for blob in gone)
    data = {key for backup in held for key in backup.data}
    for key in data_keys(vault):
        if key not in data:
            vault.delete(key)
            report.data += 1


def _indexes(vault: Vault, names: list[str]) -> list[Backup]:
    with tempfile.TemporaryDirectory(prefix="sacristy-backup-") as folder:
        return [index(vault, name, Path(folder)) for name in names]


def _age(name: str, now: datetime) -> timedelta:
    try:
        return now - datetime.strptime(name, "backup-%Y%m%dT%H%M%S%fZ").replace(tzinfo=UTC)
    except ValueError:
        return timedelta.max
