"""What pods find MongoDB and the store by: addresses, and keys. A training's are of the role `training` alone, those
of what fetches a model's weights of the store's user `serving`, who reads.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sacristy.errors import NotForPods
from sacristy.images.fetched import Fetched
from sacristy.s3 import StoreKeys, given_keys
from sacristy.settings import Role, Settings
from sacristy.targets.kubernetes import fetching
from sacristy.targets.kubernetes.fetching import Fetching
from sacristy.targets.kubernetes.training import SECRETS, URL_KEY
from sacristy.tracking.database import address

MONGODB_CA, WEIGHTS_CA, KEYS = "mongodb-ca.pem", "weights-ca.pem", "ceph-training"
PASSED_ON = ("gateway_url", "omniboard_url", "user")


@dataclass(frozen=True)
class Connections:
    """`environment`: variables, nothing secret; `secret`: the content of the Job's Secret."""

    environment: dict[str, str]
    secret: dict[str, str]


def connections(settings: Settings) -> Connections:
    """Return what a pod is given. Raises NotForPods (only this machine reaches it), KeysUnusable or NotInitialised."""
    given = {f"SACRISTY_{name.upper()}": getattr(settings, name) for name in PASSED_ON if getattr(settings, name)}
    environment, secret = _store(settings)
    return Connections(given | environment, secret | _database(settings))


def _database(settings: Settings) -> dict[str, str]:
    ca = settings.mongodb_ca
    there = settings.model_copy(update={"mongodb_ca": Path(SECRETS) / MONGODB_CA}) if ca else settings
    url = there.database_url(Role.TRAINING)
    if any(_is_here(host.rpartition(":")[0]) for host in address(url).split(", ")):
        raise NotForPods(service="MongoDB", address=address(url), variable="SACRISTY_MONGODB_URL")
    return {URL_KEY: url} | ({MONGODB_CA: ca.read_text()} if ca else {})


def fetching_from(settings: Settings, fetched: Fetched) -> Fetching:
    """Return how pods fetch weights. Raises NotForPods where only this machine reaches them."""
    location, endpoint = _place(settings)
    region = os.environ.get("AWS_DEFAULT_REGION", "")
    return Fetching(fetched, location, endpoint, region, settings.s3_ca is not None)


def fetching_secret(settings: Settings) -> dict[str, str]:
    """Return what the container that fetches is given in secret. Raises KeysUnusable."""
    keys, ca = given_keys(settings.home / "secrets" / "ceph-serving"), settings.s3_ca
    return {fetching.KEYS: keys.line} | ({fetching.CA: ca.read_text()} if ca else {})


def _place(settings: Settings) -> tuple[str, str]:
    """Return the bucket and the gateway, which pods must reach."""
    location, endpoint = settings.weights_location, settings.s3_endpoint
    if not location.startswith("s3://"):
        raise NotForPods(service="the weights", address=location, variable="SACRISTY_WEIGHTS")
    if _is_here(urlsplit(endpoint).hostname or ""):
        raise NotForPods(service="the store", address=endpoint, variable="SACRISTY_WEIGHTS_ENDPOINT")
    return location, endpoint


def _store(settings: Settings) -> tuple[dict[str, str], dict[str, str]]:
    (location, endpoint), ca = _place(settings), settings.s3_ca
    environment = {"SACRISTY_WEIGHTS": location, "SACRISTY_WEIGHTS_ENDPOINT": endpoint}
    environment |= {"SACRISTY_WEIGHTS_CA": f"{SECRETS}/{WEIGHTS_CA}"} if ca else {}
    environment |= {name: os.environ[name] for name in ("AWS_DEFAULT_REGION",) if name in os.environ}
    return environment, {KEYS: _keys(settings)} | ({WEIGHTS_CA: ca.read_text()} if ca else {})


def _keys(settings: Settings) -> str:
    """Return `access:secret` of the store's training user."""
    given = StoreKeys(os.environ.get("AWS_ACCESS_KEY_ID", ""), os.environ.get("AWS_SECRET_ACCESS_KEY", ""))
    return given.line if all(given.pair) else given_keys(settings.home / "secrets" / KEYS).line


def _is_here(host: str) -> bool:
    return host in ("localhost", "::1", "[::1]") or host.startswith("127.")
