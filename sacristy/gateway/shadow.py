"""Copies of requests, asked of the other version while nobody waits, and compared.

A mirror gets copies of its share of the stage's requests. What a canary answered, the stage's own version is asked
too: so it is known how often the two agree. The queue is bounded; what does not fit is dropped and counted. What a
canary failed at waits in the same queue, though there is nothing to ask: a full one drops as much of it as of the rest.
"""

from __future__ import annotations

import logging
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

log = logging.getLogger(__name__)

WAITING = 256
WAITING_BYTES = 64 << 20  # of requests and answers together
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

    @property
    def size(self) -> int:
        """The bytes that it keeps."""
        return len(self.question.body or b"") + len(self.answered.answer.body)


class Shadow:
    """Threads that ask the copies and tell `note` what came of them."""

    def __init__(self, proxy: Proxy, note: Callable[[Comparison], None], dropped: Callable[[], None]) -> None:
        """`dropped` is called for each copy that found no room."""
        self._proxy, self._note, self._dropped = proxy, note, dropped
        self._queue: queue.Queue[_Copy] = queue.Queue(WAITING)
        self._started, self._bytes = False, 0
        self._lock = threading.Lock()

    def offer(self, question: Question, answered: Answered) -> None:
        """Copy an answered prediction to whom it concerns. Never waits.

        What names a version only that one answers: to compare its refusal by the other would tell nothing.
        """
        if question.version:
            return
        routed = answered.routed
        if answered.canary_failed and routed.canary:
            self._put(_Copy(question, answered, ShareKind.CANARY, routed.canary.route, routed.canary.since))
            return
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
        with self._lock:
            if self._queue.full() or self._bytes + copy.size > WAITING_BYTES:
                self._dropped()
                return
            self._bytes += copy.size
            self._queue.put_nowait(copy)

    def _work(self) -> None:
        while True:
            self._next()

    def _next(self) -> None:
        copy = self._queue.get()
        with self._lock:
            self._bytes -= copy.size
        try:
            self._note(self._compare(copy))
        except Exception:  # a fault of ours must not end the thread
            log.exception("a request could not be compared")
            self._dropped()

    def _compare(self, copy: _Copy) -> Comparison:
        answered = copy.answered
        if answered.canary_failed:
            return _failure(copy)
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
            copy.question.bare,  # a comparison may wait for long
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


def _failure(copy: _Copy) -> Comparison:
    """Return what a canary failed at and the stage's own version was asked then."""
    answered = copy.answered
    return Comparison(
        copy.question.bare,
        copy.kind,
        own=answered.route,
        other=copy.to,
        own_s=answered.took_s,
        other_s=0.0,
        own_failed=answered.answer.status >= SERVER_ERROR,
        other_failed=True,
        agreed=0,
        compared=0,
        since=copy.since,
    )


def _failed(status: int, beside: int) -> bool:
    """Say whether a version failed: by a 5xx, no answer, or by refusing what the other one answers."""
    return status >= SERVER_ERROR or (status >= BAD_REQUEST and beside < BAD_REQUEST)
