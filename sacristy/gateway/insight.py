"""What is known of predictions: feedback comes in, statistics and the comparison with a canary go out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from flask import Blueprint, Response, request

from sacristy.errors import InvalidInstance, NothingBeside
from sacristy.gateway.asking import asked_stage, user
from sacristy.gateway.counts import Said
from sacristy.gateway.database import Connection
from sacristy.gateway.feedback import MOST_BYTES, Box, parse_opinion
from sacristy.gateway.ids import Ids
from sacristy.gateway.proxy import Proxy
from sacristy.gateway.rights import Right, needs
from sacristy.gateway.statistics import beside, statistics
from sacristy.names import parse_version
from sacristy.serving.body import read_json_body

MOST_HOURS = 24 * 366
CREATED = 201


def routes(proxy: Proxy, connection: Connection, ids: Ids, note: Callable[[Said], None]) -> Blueprint:
    """Return the addresses of feedback and statistics. `note` takes opinions that could not be counted at once."""
    pages = Blueprint("insight", __name__)

    @pages.post("/feedback")
    @needs(Right.FEEDBACK)
    def feedback() -> Response:
        opinion = parse_opinion(read_json_body(request, MOST_BYTES))
        given = Box(connection.database(), ids, note).give(opinion, user())
        return plain_answer(given, CREATED if given["new"] else 200)

    @pages.get("/models/<model>/statistics")
    @needs(Right.STATISTICS)
    def numbers(model: str) -> Response:
        stage = asked_stage()
        proxy.route(model, stage)
        return plain_answer(statistics(connection.database(), model, stage, _hours(), _versions()))

    @pages.get("/models/<model>/canary")
    @needs(Right.STATISTICS)
    def comparison(model: str) -> Response:
        stage = asked_stage()
        route = proxy.route(model, stage)
        if not route.shares:
            raise NothingBeside(model=model, stage=stage)
        return plain_answer(beside(connection.database(), model, stage, route))

    return pages


def plain_answer(content: Any, status: int = 200) -> Response:
    """Return a JSON response; times as ISO 8601."""
    return Response(orjson.dumps(content, default=str), status, content_type="application/json")


def _hours() -> float:
    text = request.args.get("hours", "24")
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours <= MOST_HOURS:
        expected = f"a number above 0 and at most {MOST_HOURS}"
        raise InvalidInstance(field="hours", reason=f"{text!r} is none", expected=expected)
    return hours


def _versions() -> tuple[str, str] | None:
    a, b = request.args.get("a", ""), request.args.get("b", "")
    return (str(parse_version(a)), str(parse_version(b))) if a or b else None
