"""MLflow with the tracking address given; MODE=single logs each point, MODE=batch 1,000 at once."""

import os
import time

import measure
import mlflow
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

mlflow.set_tracking_uri(measure.url())
client = MlflowClient()
with mlflow.start_run() as run:
    waiting: list[Metric] = []

    def batch(name: str, value: float, step: int) -> None:
        waiting.append(Metric(name, value, int(time.time() * 1000), step))
        if len(waiting) == 1000:
            flush()

    def flush() -> None:
        if waiting:
            client.log_batch(run.info.run_id, waiting)
            waiting.clear()

    def single(name: str, value: float, step: int) -> None:
        mlflow.log_metric(name, value, step)

    measure.work(batch if os.environ["MODE"] == "batch" else single)
    flush()
