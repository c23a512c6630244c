"""From validated instances to checked answers: a bounded queue, a time limit, and the four verbs between them.

Gunicorn's own timeout watches the worker's main loop, which goes on while a thread of it hangs, so the limit on one
prediction is kept here: the model runs in threads of its own, and the request's thread waits only so long.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from pydantic import BaseModel

from sacristy.errors import (
    InstanceRefused,
    InvalidInstance,
    PredictionFailed,
    PredictionTimedOut,
    SacristyError,
    ServerOverloaded,
)
from sacristy.serving.loading import Limits
from sacristy.serving.model import Model
from sacristy.serving.schema import Schemas

THREAD_NAME = "prediction"
WAITING = 32
RETRY_AFTER_S = 1

log = logging.getLogger(__name__)


class Pipeline:
    """Runs a model's predictions, at most `limits.threads` at once, with at most `waiting` requests in the queue."""

    def __init__(
        self, model: Model, schemas: Schemas, limits: Limits, on_hang: Callable[[], None], waiting: int = WAITING
    ) -> None:
        """`on_hang` is called after a prediction overran its limit: its thread is lost until the worker is replaced."""
        self._model = model
        self._schemas = schemas
        self._timeout_s = limits.timeout_s
        self._on_hang = on_hang
        self._threads = ThreadPoolExecutor(limits.threads, thread_name_prefix=THREAD_NAME)
        self._slots = threading.Semaphore(limits.threads)
        self._places = threading.Semaphore(waiting)
        self.waiting_limit = waiting

    def answer(self, instances: list[Any], explain: bool = False) -> BaseModel:
        """Return the record `{predictions: [...]}` for validated instances, with `explanations` where asked.

        Raises ServerOverloaded, PredictionTimedOut, InvalidInstance (refused by decode) or PredictionFailed.
        """
        self._take_slot()
        task: Future[BaseModel] = self._threads.submit(self.compute, instances, explain)
        task.add_done_callback(lambda _: self._slots.release())
        try:
            return task.result(self._timeout_s)
        except TimeoutError:
            log.critical("a prediction overran %d s; threads:\n%s", self._timeout_s, prediction_stacks())
            self._on_hang()
            raise PredictionTimedOut(timeout_s=self._timeout_s) from None

    def compute(self, instances: list[Any], explain: bool = False) -> BaseModel:
        """Do the same in this thread, without queue and time limit. Raises InvalidInstance or PredictionFailed."""
        try:
            inputs = [self._decode(place, instance) for place, instance in enumerate(instances)]
            outputs = _one_each("predict", self._model.predict(inputs), inputs)
            predictions = [self._model.encode(output) for output in outputs]
            if not explain:
                return self._schemas.check_predictions(predictions)
            explanations = _one_each("explain", self._model.explain(inputs), inputs)
            return self._schemas.check_explained(predictions, explanations)
        except SacristyError:
            raise
        except (Exception, SystemExit):
            name = uuid.uuid4().hex[:12]
            log.exception("prediction %s failed", name)
            raise PredictionFailed(id=name) from None

    def _decode(self, place: int, instance: Any) -> Any:
        try:
            return self._model.decode(instance)
        except InstanceRefused as error:
            expected = error.fields["expected"]
            raise InvalidInstance(field=f"instances.{place}", reason="cannot be read", expected=expected) from None

    def _take_slot(self) -> None:
        if self._slots.acquire(blocking=False):
            return
        if not self._places.acquire(blocking=False):
            raise self._overloaded()
        try:
            if not self._slots.acquire(timeout=self._timeout_s):
                raise self._overloaded()
        finally:
            self._places.release()

    def _overloaded(self) -> ServerOverloaded:
        return ServerOverloaded(waiting=self.waiting_limit, retry_after_s=RETRY_AFTER_S)


def _one_each(verb: str, outputs: list[Any], inputs: list[Any]) -> list[Any]:
    if len(outputs) != len(inputs):
        raise ValueError(f"{verb} returned {len(outputs)} outputs for {len(inputs)} inputs")
    return outputs


def prediction_stacks() -> str:
    """Return where each prediction thread is now."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = {names.get(ident, ""): frame for ident, frame in sys._current_frames().items()}
    mine = {name: frame for name, frame in frames.items() if name.startswith(THREAD_NAME)}
    return "\n".join(f"{name}\n{''.join(traceback.format_stack(frame))}" for name, frame in mine.items())
