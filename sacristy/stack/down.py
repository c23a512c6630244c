"""`sacristy down`: stop every service and every model instance. Data, secrets and ports stay."""

from __future__ import annotations

from sacristy.settings import Settings
from sacristy.supervision import Supervisor


def down(settings: Settings) -> list[str]:
    """Stop all, gracefully, and return the names of what ran. Nothing running is no error."""
    supervisor = Supervisor(settings)
    running = [name for name, state in supervisor.states().items() if state.running]
    supervisor.shutdown()
    return running
