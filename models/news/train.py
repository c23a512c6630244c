"""Train the topics of news: `sacristy train news`, or here `python train.py with epochs=3`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import data
import numpy as np
import torch
from features import Bags, Vocabulary, bags
from network import Network
from serve import News
from torch import nn

import sacristy
from sacristy import tracking, weights

ex = sacristy.experiment("news")


@ex.config
def config():
    epochs = 5  # noqa: F841
    batch = 256  # noqa: F841
    lr = 0.005  # noqa: F841
    decay = 0.3  # noqa: F841
    smoothing = 0.15  # noqa: F841
    width = 4  # noqa: F841
    minimum_count = 2  # noqa: F841
    threads = 1  # noqa: F841  (two are hardly faster on free cores, and far slower on busy ones)
    seed = 1  # noqa: F841


def fit(part, vocabulary, *, epochs, batch, lr, decay, smoothing, width, seed, log=lambda epoch, loss, network: None):
    """Return a network trained on a part: the same arguments give the same weights, bit for bit, on one machine."""
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    inputs, targets = vocabulary.apply(part.texts), torch.from_numpy(part.labels)
    network = Network(len(vocabulary), len(vocabulary.labels), width)
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr, weight_decay=decay, fused=True)
    steps = -(-len(part) // batch) * epochs
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    for epoch in range(1, epochs + 1):
        total = 0.0
        for rows in torch.randperm(len(part)).split(batch):
            scores = network(select(inputs, rows.numpy()))
            loss = nn.functional.cross_entropy(scores, targets[rows], label_smoothing=smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        log(epoch, total / len(part), network)
    return network.eval()


@torch.no_grad()
def calibrate(network, inputs, labels):
    """Sharpen the scores by the factor that suits other texts best: label smoothing leaves them too cautious.

    No label changes, for all four scores are multiplied by it.
    """
    scores, targets = network(inputs), torch.from_numpy(labels)
    factors = torch.linspace(0.5, 4.0, 71).tolist()
    best = min(factors, key=lambda factor: nn.functional.cross_entropy(scores * factor, targets).item())
    network.output.weight *= best
    network.output.bias *= best


def select(inputs: Bags, places: np.ndarray) -> Bags:
    """Return the bags at the given places, in that order."""
    starts = inputs.offsets.numpy()
    lengths = np.diff(starts, append=len(inputs.rows))[places]
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return bags(inputs.rows.numpy()[np.repeat(starts[places], lengths) + within], lengths)


def score(probabilities, labels):
    """Return accuracy and mean cross-entropy."""
    targets = torch.from_numpy(labels)
    accuracy = (probabilities.argmax(dim=1) == targets).double().mean().item()
    return {"accuracy": accuracy, "loss": nn.functional.nll_loss(probabilities.log(), targets).item()}


def write(folder, network, vocabulary, heldout):
    """Write what serving needs, golden answers and the held-out examples; return the served model and those."""
    network.save(folder)
    vocabulary.save(folder)
    examples = [
        {"instance": text, "target": data.LABELS[label]}
        for text, label in zip(heldout.texts, heldout.labels, strict=True)
    ]
    (folder / "heldout.jsonl").write_text("".join(json.dumps(example) + "\n" for example in examples))
    served = News()
    served.load(folder)
    (folder / "golden.json").write_text(json.dumps(golden(served, examples)))
    return served, examples


def golden(model, examples):
    """Return one held-out instance of each label with the answer that the served model gives to it."""
    instances = list({example["target"]: example["instance"] for example in examples}.values())
    outputs = model.predict([model.decode(instance) for instance in instances])
    answers = [model.encode(output).model_dump() for output in outputs]
    return [{"instance": i, "prediction": answer} for i, answer in zip(instances, answers, strict=True)]


@ex.automain
def main(_run, epochs, batch, lr, decay, smoothing, width, minimum_count, threads, seed):
    parts = data.read()
    tracking.log_data(_run, data.NAME, f"sha256:{data.SHA256}", sum(map(len, parts.values())))
    vocabulary = Vocabulary.of(parts["train"].texts, data.LABELS, minimum_count)
    validation = vocabulary.apply(parts["validation"].texts)

    def log(epoch, loss, network):
        accuracy = score(network.probabilities(validation), parts["validation"].labels)["accuracy"]
        _run.log_scalar("training.loss", loss, epoch)
        _run.log_scalar("validation.accuracy", accuracy, epoch)

    torch.set_num_threads(threads)
    options = {"epochs": epochs, "batch": batch, "lr": lr, "decay": decay, "smoothing": smoothing, "width": width}
    network = fit(parts["train"], vocabulary, **options, seed=seed, log=log)
    calibrate(network, validation, parts["validation"].labels)
    with tempfile.TemporaryDirectory() as folder:
        served, examples = write(Path(folder), network, vocabulary, parts["heldout"])
        weights.save(_run, folder)
    answers = served.predict([example["instance"] for example in examples])
    return score(torch.tensor(answers, dtype=torch.float64), parts["heldout"].labels)
