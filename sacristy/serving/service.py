"""One served model with all its parts, put together once in each worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from sacristy.errors import ModelNotReady
from sacristy.serving.health import Health, warm_up
from sacristy.serving.loading import Identity, Limits, Served
from sacristy.serving.metrics import Metrics
from sacristy.serving.pipeline import Pipeline
from sacristy.serving.schema import Schemas


@dataclass(frozen=True)
class Service:
    """What the pages need."""

    identity: Identity
    limits: Limits
    prediction: Any
    schemas: Schemas
    pipeline: Pipeline
    health: Health
    metrics: Metrics

    def predict(self, instances: list[Any], explain: bool = False) -> BaseModel:
        """Return what Pipeline.answer returns. Raises ModelNotReady and what that raises."""
        if not self.health.ready:
            raise ModelNotReady(reason=self.health.reason)
        answers = self.pipeline.answer(instances, explain)
        self.metrics.instances.inc(len(instances))
        return answers


def assemble(served: Served, on_hang: Callable[[], None]) -> Service:
    """Put a loaded model's parts together and warm it up. Raises ModelNotLoadable for types that are not strict."""
    kind = type(served.model)
    schemas = Schemas(kind, served.limits.max_instances)
    pipeline = Pipeline(served.model, schemas, served.limits, on_hang)
    metrics = Metrics(served.identity)
    health = warm_up(served, schemas, pipeline)
    metrics.ready.set(health.ready)
    return Service(served.identity, served.limits, kind.prediction, schemas, pipeline, health, metrics)
