"""Ready means: this worker has predicted the golden instances, and the answers were the ones recorded in training."""

from __future__ import annotations

import logging

from sacristy.errors import SacristyError
from sacristy.serving.golden import difference
from sacristy.serving.loading import Served
from sacristy.serving.pipeline import Pipeline
from sacristy.serving.schema import Schemas

log = logging.getLogger(__name__)


class Health:
    """Whether this worker may answer, and if not, why."""

    def __init__(self, reason: str = "") -> None:
        """An empty reason means ready."""
        self.reason = reason

    @property
    def ready(self) -> bool:
        """Whether the warm-up succeeded."""
        return not self.reason


def warm_up(served: Served, schemas: Schemas, pipeline: Pipeline) -> Health:
    """Predict the golden instances and return the verdict; a failure is logged, not raised: the worker stays live."""
    reason = _first_fault(served, schemas, pipeline)
    if reason:
        log.error("not ready: %s", reason)
    else:
        log.info("ready: %d golden answers reproduced", len(served.golden))
    return Health(reason)


def _first_fault(served: Served, schemas: Schemas, pipeline: Pipeline) -> str:
    if not served.golden:
        return "there are no golden examples in weights/golden.json"
    try:
        instances = schemas.check_instances([entry["instance"] for entry in served.golden])
        answers = pipeline.compute(instances).model_dump(mode="json")["predictions"]
        expected = [entry["prediction"] for entry in served.golden]
    except KeyError as error:
        return f"weights/golden.json has an entry without {error}"
    except SacristyError as error:
        return f"the warm-up prediction failed: {error}; {error.advice}"
    fault = difference(expected, answers, served.golden_tolerance)
    return f"a golden answer is not reproduced: {fault}" if fault else ""
