"""Finding the weights: a convex loss on all of the part at once, and the calibration that follows."""

from __future__ import annotations

import data
import numpy as np
import torch
from network import Network
from torch import nn

THRESHOLDS = (2, 3, 4)  # a review has at least so many stars; the second is what the model answers


def fit(inputs, features, stars, *, penalty, neighbours, steps):
    """Return a network fitted to bags and their stars [n]; there is no chance in it.

    Besides "3 stars or more" the same weights have to tell 2 stars from 1 and 4 from 3, each with a bias of its own
    (proportional odds, weighted by `neighbours`): two reviews with one label are seldom equally good. `penalty`
    pulls the weights to zero.
    """
    torch.use_deterministic_algorithms(True)
    network = Network(features)
    biases = nn.Parameter(torch.zeros(len(THRESHOLDS)))
    targets = torch.from_numpy(np.stack([stars >= threshold for threshold in THRESHOLDS], axis=1)).float()
    shares = torch.tensor([1.0 if threshold == data.POSITIVE else neighbours for threshold in THRESHOLDS])
    options = {"max_iter": steps, "history_size": 10, "line_search_fn": "strong_wolfe"}
    optimizer = torch.optim.LBFGS([network.weight, biases], **options, tolerance_change=1e-7)

    def loss():
        optimizer.zero_grad()
        scores = network.sums(inputs)[:, None] + biases
        losses = nn.functional.binary_cross_entropy_with_logits(scores, targets, reduction="none").mean(dim=0)
        total = (losses * shares).sum() + penalty / 2 * network.weight.square().sum()
        total.backward()
        return total

    optimizer.step(loss)
    with torch.no_grad():
        network.bias.copy_(biases[THRESHOLDS.index(data.POSITIVE)])
    return network.eval()


def unseen_scores(inputs, features, stars, *, folds, **options):
    """Return the log-odds [n] that each text gets from a network fitted to the other folds' texts."""
    scores, fold = torch.zeros(len(stars)), np.arange(len(stars)) % folds
    for number in range(folds):
        inside = fold != number
        network = fit(inputs.select(inside), features, stars[inside], **options)
        scores[torch.from_numpy(~inside)] = network(inputs.select(~inside)).detach()
    return scores


def calibrate(network, scores, labels):
    """Stretch and shift the log-odds by what suits the scores [n] of unseen texts best (Platt 1999).

    A penalised fit is too cautious, and on classes of unequal size it leans to the large one.
    """
    factor, shift = stretch(scores, labels)
    with torch.no_grad():
        network.weight *= factor
        network.bias.copy_(network.bias * factor + shift)


def stretch(scores, labels):
    """Return the factor and the shift of least cross-entropy."""
    line = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    values, targets = scores.double(), torch.from_numpy(labels).double()
    optimizer = torch.optim.LBFGS([line], max_iter=100, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        total = nn.functional.binary_cross_entropy_with_logits(values * line[0] + line[1], targets)
        total.backward()
        return total

    optimizer.step(loss)
    return line.tolist()
