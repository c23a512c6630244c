"""Where a run can be looked at."""

from __future__ import annotations

from urllib.parse import urlencode

from sacristy.settings import DATABASE, Settings
from sacristy.tracking.runs import RunRecord


def omniboard_link(settings: Settings, run: RunRecord) -> str:
    """Return the address that opens a run in Omniboard, or an empty string where there is no Omniboard."""
    url = settings.service_url("omniboard")
    query = {"showDrillDownRunModal": "true", "runIdToExpand": run.id, "runIdStatus": run.status}
    return f"{url}/{DATABASE}?{urlencode(query)}" if url else ""
