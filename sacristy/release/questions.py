"""Asking an instance over HTTP, the way its users will."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import orjson

from sacristy.errors import BadAnswer


class Questioner:
    """A keep-alive connection to one instance. Every method raises BadAnswer when it does not answer as it must."""

    def __init__(self, url: str, timeout_s: float) -> None:
        self._client = httpx.Client(base_url=url, timeout=timeout_s, trust_env=False)

    def __enter__(self) -> Questioner:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def predict(self, instances: Sequence[Any]) -> list[Any]:
        """Return one prediction for each instance."""
        body = orjson.dumps({"instances": list(instances)})
        try:
            answer = self._client.post("/predict", content=body, headers={"Content-Type": "application/json"})
        except httpx.HTTPError as error:
            raise BadAnswer(reason=f"no answer: {type(error).__name__} {error}".strip()) from None
        if answer.status_code != 200:
            raise BadAnswer(reason=f"status {answer.status_code}: {answer.text[:160]}")
        predictions = _predictions(answer)
        if len(predictions) != len(instances):
            raise BadAnswer(reason=f"{len(predictions)} predictions for {len(instances)} instances")
        return predictions

    def predict_all(self, instances: Sequence[Any], at_once: int) -> Iterator[Any]:
        """Yield one prediction for each instance, asking for some at once."""
        for start in range(0, len(instances), at_once):
            yield from self.predict(instances[start : start + at_once])

    def time_one(self, instance: Any) -> float:
        """Return how long one prediction takes, in milliseconds."""
        start = time.perf_counter()
        self.predict([instance])
        return (time.perf_counter() - start) * 1000


def _predictions(answer: httpx.Response) -> list[Any]:
    try:
        predictions = orjson.loads(answer.content)["predictions"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise BadAnswer(reason=f"not an answer: {answer.text[:160]}") from None
    if not isinstance(predictions, list):
        raise BadAnswer(reason="predictions is not a list")
    return predictions
