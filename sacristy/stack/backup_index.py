"""What a backup says of itself. Its index is written last: without one it is not complete."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sacristy.errors import BackupUnusable
from sacristy.stack.vault import Vault

SCHEMA = 1
INDEX = "backup.json"
NAME = re.compile(r"backup-[0-9TZ]+")


@dataclass
class Backup:
    """What a backup holds: for each collection its number of documents and its file's SHA-256; blobs; keys of data."""

    name: str
    at: str
    collections: dict[str, dict[str, Any]] = field(default_factory=dict)
    blobs: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    schema: int = SCHEMA


def contents(vault: Vault) -> dict[str, list[str]]:
    """Return the keys of each backup of a place, complete or not, the oldest first."""
    found: dict[str, list[str]] = {}
    for key in vault.below(""):
        name = key.split("/")[0]
        if NAME.fullmatch(name):
            found.setdefault(name, []).append(key)
    return found


def complete(found: dict[str, list[str]]) -> list[str]:
    """Return the names of those that are complete."""
    return [name for name, keys in found.items() if f"{name}/{INDEX}" in keys]


def read(vault: Vault, name: str, folder: Path) -> Backup:
    """Return what a backup (the newest, if not named) holds. Raises BackupUnusable."""
    known = complete(contents(vault))
    if not known or (name and name not in known):
        raise BackupUnusable(location=vault.location, reason=f"there is {', '.join(known) or 'none'}")
    return index(vault, name or known[-1], folder)


def index(vault: Vault, name: str, folder: Path) -> Backup:
    """Return what a complete backup holds. Raises BackupUnusable."""
    path = folder / INDEX
    vault.get(f"{name}/{INDEX}", path)
    try:
        found = Backup(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise BackupUnusable(location=vault.location, reason=f"{INDEX}: {error}") from None
    if found.schema != SCHEMA:
        raise BackupUnusable(location=vault.location, reason=f"it has schema {found.schema}, not {SCHEMA}")
    return found
