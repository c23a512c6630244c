"""Where releases are decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pymongo.database import Database

from sacristy.images.registry import Registry
from sacristy.images.signature import Keys, keys_of
from sacristy.settings import Promotion, Settings

Document = dict[str, Any]


@dataclass(frozen=True)
class Desk:
    """The events, the registry, who acts, by which policy, and the keys that releases are signed and checked with."""

    database: Database[Document]
    registry: Registry
    user: str
    policy: Promotion
    keys: Keys


def open_desk(settings: Settings, database: Database[Document], registry: Registry) -> Desk:
    """Return the desk of a project."""
    return Desk(database, registry, settings.user, settings.promotion, keys_of(settings.home))
