"""Train the reviews: `sacristy train reviews`, or here `python train.py with penalty=1e-5`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import data
import torch
from features import Vocabulary
from fitting import calibrate, fit, unseen_scores
from network import LABELS
from scoring import score
from serve import Reviews

import sacristy
from sacristy import tracking, weights

ex = sacristy.experiment("reviews")

EXAMPLES = (  # written for this model: the data's own reviews may not be passed on, and golden.json goes into the image
    "Wonderful little place! The noodles were fresh, the staff could not have been kinder, and we will be back.",
    "We waited an hour for cold soup and a rude waiter. Never again.",
    "Decent coffee, slow service, nice view. It was okay for a quick break.",
    "The mechanic charged me twice and would not answer the phone. Terrible.",
    "Best haircut I have had in years, and the price was fair.",
    "Don't waste your money here: dirty room, broken shower, no apology.",
)


@ex.config
def config():
    penalty = 3e-6  # noqa: F841
    neighbours = 0.3  # noqa: F841
    minimum_count = 2  # noqa: F841
    steps = 100  # noqa: F841
    folds = 5  # noqa: F841
    threads = 1  # noqa: F841
    seed = 1  # noqa: F841  (nothing here is left to chance)


def write(folder, network, vocabulary, heldout):
    """Write what serving needs, golden answers and the held-out examples; return the served model."""
    network.save(folder)
    vocabulary.save(folder)
    pairs = zip(heldout.texts, heldout.labels, strict=True)
    lines = (json.dumps({"instance": text, "target": LABELS[label]}) + "\n" for text, label in pairs)
    (folder / "heldout.jsonl").write_text("".join(lines))
    served = Reviews()
    served.load(folder)
    (folder / "golden.json").write_text(json.dumps(golden(served)))
    return served


def golden(model):
    """Return the examples with the answers that the served model gives to them."""
    outputs = model.predict([model.decode(instance) for instance in EXAMPLES])
    answers = [model.encode(output).model_dump() for output in outputs]
    return [{"instance": i, "prediction": answer} for i, answer in zip(EXAMPLES, answers, strict=True)]


@ex.automain
def main(_run, penalty, neighbours, minimum_count, steps, folds, threads):
    parts = data.read()
    tracking.log_data(_run, data.NAME, f"sha256:{data.SHA256}", sum(map(len, parts.values())))
    torch.set_num_threads(threads)
    part, options = parts["train"], {"penalty": penalty, "neighbours": neighbours, "steps": steps}
    vocabulary = Vocabulary.of(part.texts, minimum_count)
    inputs = vocabulary.apply(part.texts)
    scores = unseen_scores(inputs, len(vocabulary), part.stars, folds=folds, **options)
    network = fit(inputs, len(vocabulary), part.stars, **options)
    calibrate(network, scores, part.labels)
    found = score(network.probabilities(vocabulary.apply(parts["validation"].texts)), parts["validation"])
    for name in ("accuracy", "loss", "calibration_error"):
        _run.log_scalar(f"validation.{name}", found[name], 1)
    with tempfile.TemporaryDirectory() as folder:
        served = write(Path(folder), network, vocabulary, parts["heldout"])
        weights.save(_run, folder)
    answers = served.predict(parts["heldout"].texts)
    return score(torch.tensor(answers, dtype=torch.float64), parts["heldout"])
