"""Train the digits: `sacristy train digits`, or here `python train.py with epochs=3`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import checkpoint
import data
import torch
from features import Scaling
from network import LABELS, Network
from serve import Digits
from torch import nn

import sacristy
from sacristy import tracking, weights

ex = sacristy.experiment("digits")


@ex.config
def config():
    epochs = 16  # noqa: F841
    batch = 64  # noqa: F841
    lr = 0.004  # noqa: F841
    seed = 1  # noqa: F841


def fit(part, scaling, *, epochs, batch, lr, seed, log=lambda epoch, loss, network: None, keep=None, start=None):
    """Return a network trained on a part: the same arguments give the same weights, bit for bit, on one machine.

    After each epoch `keep` is given the file of a checkpoint; from such a file (`start`) a training goes on, to the
    same bits as one that never stopped.
    """
    torch.set_num_threads(1)  # faster for a network this small, and the same sums on any number of cores
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    inputs, targets = scaling.apply(part.pixels), torch.from_numpy(part.labels)
    network = Network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr)
    steps = -(-len(part) // batch) * epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    done = checkpoint.load(start, network, optimizer, schedule) if start else 0
    for epoch in range(done + 1, epochs + 1):
        total = 0.0
        for rows in torch.randperm(len(part)).split(batch):
            loss = nn.functional.cross_entropy(network(inputs[rows]), targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        log(epoch, total / len(part), network.eval())
        network.train()
        if keep:
            with tempfile.TemporaryDirectory() as folder:
                checkpoint.save(Path(folder) / checkpoint.NAME, epoch, network, optimizer, schedule)
                keep(Path(folder) / checkpoint.NAME)
    return network.eval()


def score(network, scaling, part):
    """Return accuracy and mean cross-entropy on a part."""
    probabilities, targets = network.probabilities(scaling.apply(part.pixels)), torch.from_numpy(part.labels)
    accuracy = (probabilities.argmax(dim=1) == targets).double().mean().item()
    return {"accuracy": accuracy, "loss": nn.functional.nll_loss(probabilities.log(), targets).item()}


def write(folder, network, scaling, heldout):
    """Write what serving needs, golden answers (as the served model gives them) and the held-out examples."""
    network.save(folder)
    scaling.save(folder)
    examples = [
        {"instance": pixels.tolist(), "target": LABELS[label]}
        for pixels, label in zip(heldout.pixels, heldout.labels, strict=True)
    ]
    (folder / "heldout.jsonl").write_text("".join(json.dumps(example) + "\n" for example in examples))
    (folder / "golden.json").write_text(json.dumps(golden(folder, examples)))


def golden(folder, examples):
    """Return one held-out instance of each label with the answer that the served model gives to it."""
    model = Digits()
    model.load(folder)
    instances = list({example["target"]: example["instance"] for example in examples}.values())
    outputs = model.predict([model.decode(instance) for instance in instances])
    answers = [model.encode(output).model_dump() for output in outputs]
    return [{"instance": i, "prediction": answer} for i, answer in zip(instances, answers, strict=True)]


@ex.automain
def main(_run, epochs, batch, lr, seed):
    parts = data.read()
    tracking.log_data(_run, data.NAME, f"sha256:{data.SHA256}", sum(map(len, parts.values())))
    scaling = Scaling.of(parts["train"].pixels)

    def log(epoch, loss, network):
        _run.log_scalar("training.loss", loss, epoch)
        _run.log_scalar("validation.accuracy", score(network, scaling, parts["validation"])["accuracy"], epoch)

    network = fit(
        parts["train"],
        scaling,
        epochs=epochs,
        batch=batch,
        lr=lr,
        seed=seed,
        log=log,
        keep=lambda path: tracking.checkpoint(_run, path),
        start=tracking.parent_checkpoint(),
    )
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), network, scaling, parts["heldout"])
        weights.save(_run, folder)
    return score(network, scaling, parts["heldout"])
