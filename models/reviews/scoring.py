"""How good probabilities are: right, honest, and for whom."""

from __future__ import annotations

import data
import numpy as np
import torch
from torch import nn

BINS = 10
SHORT, LONG = 50, 200  # words


def score(probabilities, part):
    """Return accuracy, cross-entropy, calibration error and the accuracies of slices for probabilities [n, 2]."""
    labels = part.labels
    right = (probabilities.argmax(dim=1).numpy() == labels).astype(float)
    lengths = np.array([len(text.split()) for text in part.texts])
    slices = {f"accuracy_{stars}_stars": part.stars == stars for stars in range(1, 6)}
    slices["accuracy_without_3_stars"] = part.stars != data.POSITIVE
    slices |= {"accuracy_short": lengths < SHORT, "accuracy_long": lengths >= LONG}
    slices["accuracy_between"] = (lengths >= SHORT) & (lengths < LONG)
    return {
        "accuracy": right.mean().item(),
        "loss": nn.functional.nll_loss(probabilities.log(), torch.from_numpy(labels)).item(),
        "calibration_error": calibration_error(probabilities[:, 1].numpy(), labels),
        **{name: right[chosen].mean().item() for name, chosen in slices.items() if chosen.any()},
    }


def calibration_error(positive, labels):
    """Return how far, on average, the share of positive texts is from the probability they were given (ECE).

    `positive` [n] is put in bins of equal width, and each bin counts by its size.
    """
    bins = (positive * BINS).astype(int).clip(max=BINS - 1)
    sizes = np.bincount(bins, minlength=BINS)
    promised, found = (np.bincount(bins, values, BINS) for values in (positive, labels))
    return (np.abs(promised - found).sum() / sizes.sum()).item()
