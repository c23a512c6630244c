"""What users say of predictions: bound to a prediction that was made here, once for each user."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import orjson
from pydantic import Field, ValidationError, model_validator
from pymongo import WriteConcern
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError

from sacristy.errors import FeedbackGiven, InvalidInstance, UnknownPrediction
from sacristy.gateway.agreement import label_of
from sacristy.gateway.counts import Of, Said, Tally
from sacristy.gateway.ids import Ids
from sacristy.gateway.ledger import PREDICTIONS
from sacristy.serving.model import Schema
from sacristy.serving.schema import refusal

Document = dict[str, Any]
COLLECTION = "feedback"
MOST_BYTES = 16 << 10
FRESH_S = 8.0  # predictions younger than this may not be written yet
PATIENCE_S = 4.0


class Opinion(Schema):
    """The body of POST /feedback: of one instance of a request, either `correct` or the right `label`."""

    prediction_id: Annotated[str, Field(max_length=64)]
    instance: Annotated[int, Field(ge=0, le=100_000)] = 0
    correct: bool | None = None
    label: Annotated[str, Field(max_length=200)] | None = None
    user: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    comment: Annotated[str, Field(max_length=2000)] = ""

    @model_validator(mode="after")
    def _one_of_them(self) -> Opinion:
        if (self.correct is None) == (self.label is None):
            raise ValueError("give either 'correct' or 'label'")
        return self


def parse_opinion(body: bytes) -> Opinion:
    """Return what a body says, or raise NotJson or InvalidInstance."""
    try:
        return Opinion.model_validate_json(body)
    except ValidationError as error:
        raise refusal(error) from None


class Box:
    """Where feedback goes."""

    def __init__(self, database: Database[Document], ids: Ids, note: Callable[[Said], None]) -> None:
        """`note` takes what is to be counted later."""
        self._database, self._ids, self._note = database, ids, note

    def give(self, opinion: Opinion, token: str) -> Document:
        """Keep an opinion and return it; `new` says whether it was there already.

        Raises UnknownPrediction, InvalidInstance (no such instance, or no label to compare with), FeedbackGiven (the
        same user said something else before), or pymongo's errors.
        """
        prediction = self._find(opinion.prediction_id)
        made = _document(opinion, prediction, token)
        feedback = self._database.get_collection(COLLECTION, write_concern=WriteConcern("majority"))
        try:
            feedback.insert_one(made)
        except DuplicateKeyError:
            before = feedback.find_one({"_id": made["_id"]}) or {}
            if any(before.get(key) != made[key] for key in ("agrees", "label")):
                raise FeedbackGiven(user=made["user"], prediction=opinion.prediction_id) from None
            return _shown(before) | {"new": False}
        self._count(Said(Of(made["model"], made["stage"], made["version"]), prediction["at"], made["agrees"]))
        return _shown(made) | {"new": True}

    def _find(self, identity: str) -> Document:
        """Return the logged prediction, waiting a moment for one that was made just now."""
        at = self._ids.time_of(identity)
        deadline = time.monotonic() + PATIENCE_S
        while at is not None:
            found = self._database[PREDICTIONS].find_one({"at": at, "id": identity})
            if found:
                return dict(found)
            if datetime.now(UTC) - at > timedelta(seconds=FRESH_S) or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        raise UnknownPrediction(prediction=identity)

    def _count(self, said: Said) -> None:
        """Count an opinion, now or later. It is kept: who sends it again is told so, and it would never be counted."""
        tally = Tally()
        tally.add(said.of, said.at, said.amounts)
        try:
            for collection, operations in tally.operations().items():
                self._database[collection].bulk_write(operations, ordered=False)
        except PyMongoError:
            self._note(said)


def _document(opinion: Opinion, prediction: Document, token: str) -> Document:
    if "output" not in prediction:
        large = "a prediction whose output is kept: ask with fewer instances"
        raise InvalidInstance(field="prediction_id", reason="names what was too large to be kept", expected=large)
    predictions = orjson.loads(prediction["output"])
    if not isinstance(predictions, list) or opinion.instance >= len(predictions):
        there = f"a number below {len(predictions)}"
        raise InvalidInstance(field="instance", reason=f"{opinion.instance} is not in the prediction", expected=there)
    predicted = label_of(predictions[opinion.instance])
    if opinion.label is not None and predicted is None:
        raise InvalidInstance(field="label", reason="this model answers without labels", expected="'correct' instead")
    agrees = opinion.correct if opinion.correct is not None else opinion.label == predicted
    user = f"{token}/{opinion.user}" if opinion.user else token
    of = prediction["of"]
    kept: Document = {key: prediction[key] for key in ("input", "input_sha256") if key in prediction}
    return {
        "_id": f"{opinion.prediction_id}/{opinion.instance}/{user}",
        "prediction": opinion.prediction_id,
        "instance": opinion.instance,
        "model": of["model"],
        "stage": of["stage"],
        "version": of["version"],
        "run": prediction["run"],
        "user": user,
        "agrees": bool(agrees),
        "label": opinion.label if opinion.label is not None else (predicted if agrees else None),
        "predicted": predicted,
        "comment": opinion.comment,
        "predicted_at": prediction["at"],
        "at": datetime.now(UTC),
        **kept,
    }


def _shown(document: Document) -> Document:
    names = ("instance", "agrees", "label", "predicted", "model", "stage", "version")
    return {"prediction_id": document["prediction"], **{name: document[name] for name in names}}
