"""Which model servers Prometheus is to ask for their metrics, in the words of its HTTP service discovery."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from sacristy.targets.routes import Route, Routes

Target = dict[str, Any]


def scrape_targets(routes: Routes) -> list[Target]:
    """Return every instance that answers for a stage or has a share of its requests: where, and what it is.

    A stage that may sleep is left out: asleep it would be taken for one that is down. On a cluster its pods are found.
    """
    return [
        target
        for model, stages in sorted(routes.items())
        for stage in sorted(stages)
        for target in _of(stages[stage], model, stage)
    ]


def _of(route: Route, model: str, stage: str) -> Iterator[Target]:
    if not route.idle_s:
        yield _target(route, {"model": model, "stage": stage})
    for kind, share in route.shares.items():
        yield _target(share.route, {"model": model, "stage": stage, "beside": str(kind)})


def _target(route: Route, labels: dict[str, str]) -> Target:
    return {"targets": [urlsplit(route.url).netloc], "labels": labels | {"version": route.version}}
