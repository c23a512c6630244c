"""Copies of requests, asked of the other version while nobody waits, and compared.

A mirror gets copies of its share of the stage's requests. What a canary answered, the stage's own version is asked
too: so it is known how often the two agree. The queue is bounded; what does not fit is dropped and counted.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sacristy.gateway.agreement import agree, predictions_in
from sacristy.gateway.proxy import SERVER_ERROR, Answered, Proxy, Question
from sacristy.gateway.shares import is_within
from sacristy.gateway.upstream import Answer, NotAnswered, TooSlow
from sacristy.targets.routes import Route, ShareKind

WAITING = 256
THREADS = 2
BAD_REQUEST = 400


@dataclass(frozen=True, slots=True)
class Comparison:
    """One request asked of both versions. Seconds; `agreed` of `compared` predictions; `failed`: it did not answer."""

    question: Question
    kind: ShareKind
    own: Route
    other: Route
    own_s: float
    other_s: float
    own_failed: bool
    other_failed: bool
    agreed: int
    compared: int
    since: str  # when the two began to be compared


@dataclass(frozen=True, slots=True)
class _Copy:
    question: Question
    answered: Answered
    kind: ShareKind
    to: Route
    since: str


class Shadow:
    """Threads that ask the copies and tell `note` what came of them."""

    def __init__(self, proxy: Proxy, note: Callable[[Comparison], None], dropped: Callable[[], None]) -> None:
        """`dropped` is called for each copy that found no room."""
        self._proxy, self._note, self._dropped = proxy, note, dropped
        self._queue: queue.Queue[_Copy] = queue.Queue(WAITING)
        self._started = False

    def offer(self, question: Question, answered: Answered) -> None:
        """Copy an answered prediction to whom it concerns. Never waits."""
        routed = answered.routed
        if answered.by_canary and routed.canary:
            self._put(_Copy(question, answered, ShareKind.CANARY, routed, routed.canary.since))
        mirror = routed.mirror
        if mirror and not answered.by_canary and is_within(mirror, question.key):
            self._put(_Copy(question, answered, ShareKind.MIRROR, mirror.route, mirror.since))

    def _put(self, copy: _Copy) -> None:
        if not self._started:  # most gateways never have anything beside a stage
            self._started = True
            for number in range(THREADS):
                threading.Thread(target=self._work, name=f"shadow {number}", daemon=True).start()
        try:
            self._queue.put_nowait(copy)
        except queue.Full:
            self._dropped()

    def _work(self) -> None:
        while True:
            copy = self._queue.get()
            self._note(self._compare(copy))

    def _compare(self, copy: _Copy) -> Comparison:
        answered = copy.answered
        start = time.perf_counter()
        try:
            answer: Answer | None = self._proxy.copy(copy.question, copy.to)
        except (NotAnswered, TooSlow):
            answer = None
        took_s = time.perf_counter() - start
        first, second = predictions_in(answered.answer.body), predictions_in(answer.body) if answer else None
        agreed, compared = agree(first, second) if first is not None and second is not None else (0, 0)
        said, other_said = answered.answer.status, answer.status if answer else SERVER_ERROR
        here = (answered.route, answered.took_s, _failed(said, other_said))
        there = (copy.to, took_s, _failed(other_said, said))
        own, other = (there, here) if copy.kind is ShareKind.CANARY else (here, there)
        return Comparison(
            copy.question,
            copy.kind,
            own=own[0],
            other=other[0],
            own_s=own[1],
            other_s=other[1],
            own_failed=own[2],
            other_failed=other[2],
            agreed=agreed,
            compared=compared,
            since=copy.since,
        )


def _failed(status: int, beside: int) -> bool:
    """Say whether a version failed: by a 5xx, no answer, or by refusing what the other one answers."""
    return status >= SERVER_ERROR or (status >= BAD_REQUEST and beside < BAD_REQUEST)
