"""Where a run and what came of it can be looked at; without a gateway or an Omniboard there is no link but ''."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from sacristy.settings import DATABASE, Settings
from sacristy.tracking.runs import RunRecord


def omniboard_link(settings: Settings, run: RunRecord) -> str:
    """Return the address that opens a run in Omniboard."""
    url = settings.service_url("omniboard")
    query = {"showDrillDownRunModal": "true", "runIdToExpand": run.id, "runIdStatus": run.status}
    return f"{url}/{DATABASE}?{urlencode(query)}" if url else ""


def weights_link(gateway: str, digest: str, name: str) -> str:
    """Return the address of one stored file, to be downloaded."""
    return f"{gateway}/weights/{digest}?{urlencode({'name': name})}" if gateway else ""


def image_link(gateway: str, model: str, digest: str) -> str:
    """Return the address that tells what an image is made of."""
    return f"{gateway}/images/{quote(model)}/{digest}" if gateway else ""


def answer_link(gateway: str, model: str, stage: str) -> str:
    """Return the page where the version of a stage answers."""
    return f"{gateway}/models/{quote(model)}?{urlencode({'stage': stage})}" if gateway else ""
