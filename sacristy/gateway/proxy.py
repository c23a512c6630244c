"""From a request for a model's stage to the answer of the instance that is there now."""

from __future__ import annotations

import time
from collections.abc import Mapping

from sacristy.errors import InstanceTooSlow, InstanceUnreachable, ModelNotServed, NothingDeployed
from sacristy.gateway.table import RouteTable
from sacristy.gateway.upstream import READ_TIMEOUT_S, Answer, NotAnswered, TooSlow, ask
from sacristy.names import Stage, parse_model
from sacristy.project import model_names
from sacristy.settings import Settings
from sacristy.targets.routes import Route

PAUSES_S = (0.0, 0.05, 0.2)  # before the second, third and fourth try
RETRY_AFTER_S = 1


class Proxy:
    """Asks the instance that the routes name, and looks at the routes anew before it asks again."""

    def __init__(self, settings: Settings) -> None:
        """Needs no service: the routes are a file."""
        self._settings = settings
        self.table = RouteTable(settings.routes_file)

    def ask(
        self,
        model: str,
        stage: Stage,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Return the answer of the model's instance. With a body it is a POST.

        Asked again only where no byte of an answer came. That is safe here: a prediction changes nothing, so it
        does no harm if an instance that was just closing had begun on it. So switching instances fails no request.

        Raises InvalidName, ModelNotServed, NothingDeployed, InstanceUnreachable or InstanceTooSlow.
        """
        method = "GET" if body is None else "POST"
        reason = ""
        for pause_s in (0.0, *PAUSES_S):
            time.sleep(pause_s)
            url = self.route(model, stage).url + path
            try:
                return ask(method, url, body, headers or {})
            except NotAnswered as error:
                reason = str(error)
            except TooSlow:
                raise InstanceTooSlow(model=model, stage=stage, timeout_s=int(READ_TIMEOUT_S)) from None
        raise InstanceUnreachable(model=model, stage=stage, reason=reason, retry_after_s=RETRY_AFTER_S)

    def route(self, model: str, stage: Stage) -> Route:
        """Return where a model's stage is now. Raises InvalidName, ModelNotServed or NothingDeployed."""
        routes = self.table.routes()
        found = routes.get(model, {}).get(stage)
        if found:
            return found
        known = sorted({*routes, *model_names(self._settings.project)})
        if parse_model(model) not in known:
            raise ModelNotServed(model=model, known=", ".join(known) or "none yet")
        raise NothingDeployed(model=model, stage=stage, retry_after_s=RETRY_AFTER_S)
