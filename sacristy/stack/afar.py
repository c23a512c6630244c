"""What runs, as a checkout sees it whose models run elsewhere: by asking the site's gateway, which has the routes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sacristy.client import Client
from sacristy.errors import GatewayAway, GatewayRefused, NotInitialised
from sacristy.operator.survey import States
from sacristy.settings import Settings
from sacristy.targets.routes import ShareKind

TIMEOUT_S = 5.0


def told(settings: Settings, states: States) -> States:
    """Return states[model][stage] with what the site's gateway says of each stage that nothing here answers for.

    Without a site (`gateway_url` in the settings) they stay as they are. A gateway that cannot be asked is said in
    `detail`.
    """
    if not settings.gateway_url or not any(map(unseen, each_of(states))):
        return states
    try:
        own, trust = settings.own_token, settings.gateway_trust
        with Client(settings.gateway_url, own, timeout_s=TIMEOUT_S, tries=1, verify=trust) as client:
            routes = client.models()
            for model, stages in states.items():
                for stage, state in stages.items():
                    if unseen(state) and (route := routes.get(model, {}).get(stage)):
                        state |= seen(state, route, settings.gateway_url, client.ready(model, stage))
    except (GatewayAway, GatewayRefused, NotInitialised, OSError) as error:
        for state in filter(unseen, each_of(states)):
            state["detail"] = str(error)
    return states


def each_of(states: States) -> Iterator[dict[str, Any]]:
    """Yield the state of every model's every stage."""
    for stages in states.values():
        yield from stages.values()


def unseen(state: Mapping[str, Any]) -> bool:
    """Say whether nothing here answers for a stage."""
    return state["running"] is None


def seen(state: Mapping[str, Any], route: Mapping[str, Any], url: str, alive: bool) -> dict[str, Any]:
    """Return the facts of a stage that the gateway sends requests to.

    As for a target of one's own, `ready` is for the very image of the stage; another one that answers is `running`.
    """
    beside = {str(kind): route[kind] for kind in ShareKind if kind in route}
    facts = {"ready": alive and route["digest"] == state["digest"], "running": route["version"] if alive else None}
    return facts | {"url": f"{url}{route['predict']}"} | beside
