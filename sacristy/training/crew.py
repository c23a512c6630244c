"""The workers of one training, each in its pod: they begin together, from the same checkpoint, and end together.

Worker 0, the chief, has the run. It says from where all begin, and what it means that one of them ended: a worker that
was lost ends the attempt, and the Job begins another one; a worker whose training failed ends the training.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sacristy.errors import WorkersMissing
from sacristy.training.line import Line, News, answered, call, listening

LOST = 143  # as if it were told to end: a Job brings another pod for it
TOLD_TO_END = (137, 143)
GATHERING_S = 3600.0  # until all workers are there: a cluster may be full
SAID_EVERY_S = 30.0
HEARSAY_S = 3.0  # a training that fails may do so because another worker is being lost
AFTER_CHIEF_S = 60.0  # in which worker 0 stores everything, while the others go on
LAST_NEWS_S = 5.0
POLL_S = 0.05
Say = Callable[[str], None]


@dataclass(frozen=True)
class Ended:
    """How a worker's training ended: its exit code, when (seconds since 1970), and its last lines."""

    worker: int
    code: int
    at: float
    last: tuple[str, ...] = ()


class Chief:
    """Worker 0, to whom the others have a line each. `show`: what they print. `say`: what happens to them."""

    waits_for_others = False

    def __init__(self, workers: int, port: int, key: str, show: Say, say: Say) -> None:
        self._workers, self._show, self._say = workers, show, say
        self._lines: dict[int, Line] = {}
        self._ended: dict[int, Ended] = {}
        self._begun, self._leaving = False, 0
        self._verdict: int | None = None
        self._since: float | None = None
        self._listener = listening(port, key, workers)
        threading.Thread(target=self._answer, name="calls of workers", daemon=True).start()

    def begin(self, news: News, patience_s: float = GATHERING_S) -> None:
        """Wait until all workers are there, then tell them from where they begin. Raises WorkersMissing."""
        deadline = time.monotonic() + patience_s
        due = time.monotonic() + SAID_EVERY_S
        while missing := self._missing():
            if time.monotonic() > deadline:
                raise WorkersMissing(missing=_named(missing), waited_s=f"{patience_s:.0f}")
            if time.monotonic() > due:
                due += SAID_EVERY_S
                self._say(f"waiting for {_named(missing)} of {self._workers}")
            time.sleep(POLL_S)
        self._begun = True
        for line in self._lines.values():
            line.tell(**news)

    def is_over(self) -> bool:
        """Say whether this worker's training has to end: another one was lost, or failed."""
        self._hear()
        return bool(self.verdict())

    def settle(self, code: int) -> int:
        """Take this worker's exit code; return that of the training once it is clear, and tell it to all."""
        self._ended[0] = Ended(0, code, time.time())
        while (verdict := self.verdict()) is None:
            self._hear()
            time.sleep(POLL_S)
        self._explain(verdict)
        for line in self._lines.values():
            line.tell(end=verdict)
        deadline = time.monotonic() + LAST_NEWS_S
        while time.monotonic() < deadline and not all(line.lost for line in self._lines.values()):
            self._hear()
            time.sleep(POLL_S)
        return verdict

    def verdict(self) -> int | None:
        """Return the exit code of the whole training; None while that is not clear. It stays what it was first."""
        if self._verdict is None:
            self._verdict = self._judged()
        return self._verdict

    def _judged(self) -> int | None:
        bad = [each for each in self._ended.values() if each.code]
        if self._leaving or self._lost() or any(each.code in TOLD_TO_END for each in bad):
            return LOST
        if bad:
            self._since = self._since or time.monotonic()
            return self._first(bad).code if time.monotonic() - self._since > HEARSAY_S else None
        return 0 if len(self._ended) == self._workers else None

    def _hear(self) -> None:
        for worker, line in self._lines.items():
            for news in line.heard():
                if "said" in news:
                    self._show(news["said"])
                elif "ended" in news:
                    self._ended[worker] = Ended(worker, news["ended"], news["at"], tuple(news["last"]))
                else:
                    self._leaving = worker

    def _lost(self) -> list[int]:
        return [worker for worker, line in self._lines.items() if line.lost and worker not in self._ended]

    def _explain(self, verdict: int) -> None:
        """Say which worker ended the training, and what it said last."""
        lost = ", ".join(map(str, sorted({*self._lost(), self._leaving} - {0})))
        bad = [each for each in self._ended.values() if each.code]
        if verdict == LOST and lost:
            self._say(f"worker {lost} was lost: this attempt is over, and the Job begins the next from the checkpoint")
        elif verdict and verdict != LOST:
            first = self._first(bad)
            self._say("\n  ".join((f"worker {first.worker} was the first to end, with code {verdict}", *first.last)))

    @staticmethod
    def _first(bad: list[Ended]) -> Ended:
        return min(bad, key=lambda each: each.at)

    def _missing(self) -> list[int]:
        for worker, line in list(self._lines.items()):
            line.heard()
            if line.lost:
                del self._lines[worker]
        return [worker for worker in range(1, self._workers) if worker not in self._lines]

    def _answer(self) -> None:
        """Take calls; those that come too late hear at once that they are to try again."""
        while True:
            line = answered(self._listener)
            if line is None:
                time.sleep(POLL_S)
                continue
            names = line.heard(LAST_NEWS_S)
            if self._begun or not names:
                line.close()
            else:
                self._lines[int(names[0]["worker"])] = line


class Member:
    """Any other worker: it goes on until the chief says what the end of the training is."""

    waits_for_others = True

    def __init__(self, worker: int, line: Line, news: News) -> None:
        self.worker, self.news = worker, news
        self._line, self._verdict = line, None if news else LOST
        self._told: float | None = None

    @classmethod
    def joined(cls, worker: int, address: str, key: str) -> Member | None:
        """Call the chief and wait until all begin; return None if there is no chief to be had yet."""
        line = call(address, key)
        if line is None:
            return None
        line.tell(worker=worker)
        while not line.lost:
            news = line.heard(within_s=1.0)
            if news:
                return cls(worker, line, news[0])
        return None

    def say(self, text: str) -> None:
        """Have the chief show a line."""
        self._line.tell(said=text)

    def leave(self) -> None:
        """Tell the chief that this worker is to end."""
        if self._told is None:
            self._told = time.monotonic()
            self._line.tell(leaving=self.worker)

    def is_over(self) -> bool:
        """Say whether this worker's training has to end: the chief says so, is lost, or takes too long."""
        self._hear()
        patience_over = self._told is not None and time.monotonic() - self._told > AFTER_CHIEF_S
        return bool(self._verdict) or self._line.lost or patience_over

    def settle(self, code: int, last: tuple[str, ...] = ()) -> int:
        """Report this worker's exit code; return that of the training, or LOST if the chief is lost."""
        self._line.tell(ended=code, at=time.time(), last=last)
        while self._verdict is None and not self._line.lost:
            self._hear(POLL_S)
        self._line.close()
        return LOST if self._verdict is None else self._verdict

    def _hear(self, within_s: float = 0.0) -> None:
        for news in self._line.heard(within_s):
            if "end" in news:
                self._verdict = int(news["end"])


def _named(workers: list[int]) -> str:
    return f"worker{'s' if len(workers) > 1 else ''} {', '.join(map(str, workers))}"
