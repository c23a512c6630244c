"""Whether each service is of use: each check returns why not, or an empty string, within seconds."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from sacristy.errors import SacristyError
from sacristy.settings import Role, Settings
from sacristy.stack.services import CEPH, GATEWAY, MONGODB, OMNIBOARD, WATCHER
from sacristy.tracking.database import reason

TIMEOUT_S = 3.0
LOGIN_WANTED = "it wants a login"


def check_mongodb(settings: Settings) -> str:
    """Ping the primary as the user of the services."""
    timeout_ms = int(TIMEOUT_S * 1000)
    try:
        url = settings.database_url(Role.SERVICE, timeout_ms)
        with MongoClient[dict[str, Any]](url, connectTimeoutMS=timeout_ms, socketTimeoutMS=timeout_ms) as client:
            client.get_default_database().command("ping")
    except PyMongoError as error:
        return reason(error)
    except SacristyError as error:
        return str(error)
    return ""


def check_omniboard(settings: Settings) -> str:
    """Ask for a run, which asks the database. Behind a login, that it asks for one is all that can be seen."""
    why = _check_json(settings, settings.service_url(OMNIBOARD) + "/sacristy/api/v1/Runs?limit=1")
    return "" if settings.omniboard_url and why == LOGIN_WANTED else why


def check_gateway(settings: Settings) -> str:
    """Ask how it is; that does not depend on any other service or model."""
    return _check_json(settings, settings.service_url(GATEWAY) + "/health")


def check_watcher(settings: Settings) -> str:
    """Ask Jenkins for whom it takes us; without it nothing is released by tag. Does not say that the watcher runs."""
    from sacristy.automation.client import Client  # only where there is a Jenkins: 0.1 s to import

    try:
        Client(*settings.jenkins_login, timeout_s=TIMEOUT_S, patience_s=0).whoami()
    except SacristyError as error:
        return str(error)
    return ""


def check_ceph(settings: Settings) -> str:
    """Write a small object and read it back."""
    from sacristy.stack.ceph import health  # only where there is a Ceph: 0.1 s to import

    return health.check_ceph(settings)


def _check_json(settings: Settings, url: str) -> str:
    try:
        trusted = ssl.create_default_context(cafile=settings.gateway_ca) if settings.gateway_ca else None
        with urllib.request.urlopen(url, timeout=TIMEOUT_S, context=trusted) as answer:  # noqa: S310 - from the settings
            json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return LOGIN_WANTED if error.code == 401 else f"it answers {error.code}"
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))
    return ""


CHECKS: dict[str, Callable[[Settings], str]] = {
    MONGODB: check_mongodb,
    OMNIBOARD: check_omniboard,
    GATEWAY: check_gateway,
    CEPH: check_ceph,
    WATCHER: check_watcher,
}
