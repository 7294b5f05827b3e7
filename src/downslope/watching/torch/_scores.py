"""How well the batch of a step is predicted before the step: sums for accuracy, recall by class and R², not fetched."""

from __future__ import annotations

import math
from typing import NamedTuple

from downslope.watching.torch._ending import BINARY_CROSS_ENTROPY, LossEnding
from downslope.watching.torch._library import Tensor, torch

_FEW, _MOST_NUMBERS = 64, 2**18  # of a batch as many rows are scored as have so many outputs, and at least so many rows
_MOST_CLASSES = 10_000  # that are counted
_MOST_RECALLS = 100  # classes whose recalls are counted
_MOST_OUTPUTS = 256  # that R² is taken of; of more, evenly spaced ones


class BatchScore(NamedTuple):
    """How well a batch is predicted.

    Args:
        sums: of classes the right rows and all; of numbers the sums for R²; or None.
        classes: rows of each class in the whole batch, or None.
        recalls: rows of each class and the right ones among them, shape (2, classes), or None.
    """

    sums: Tensor | None = None
    classes: Tensor | None = None
    recalls: Tensor | None = None


def score_of(ending: LossEnding) -> BatchScore:
    """Return how well the batch is predicted that a step ends with."""
    predictions, targets = ending.predictions, ending.targets
    if predictions is None or targets is None:
        return BatchScore()
    predictions, targets = predictions.detach(), targets.detach()
    if ending.is_of_classes:
        return _of_classes(predictions, targets, ending)
    if ending.name == BINARY_CROSS_ENTROPY:
        return _of_binary(predictions, targets, ending)
    if predictions.shape == targets.shape and targets.dim() and targets.numel() and predictions.is_floating_point():
        return _of_numbers(predictions, targets)
    return BatchScore()


def _of_classes(predictions: Tensor, targets: Tensor, ending: LossEnding) -> BatchScore:
    outputs = ending.outputs or 1
    counted = torch.ones_like(targets, dtype=torch.bool) if ending.ignored is None else targets != ending.ignored
    most = max(_FEW, _MOST_NUMBERS // outputs)
    score = _scored(predictions[:most].argmax(1), targets[:most], counted[:most], outputs)
    if score.recalls is not None and len(targets) <= most:
        return score._replace(classes=score.recalls[0])
    return score._replace(classes=_counts(targets, counted[None], outputs)[0] if outputs <= _MOST_CLASSES else None)


def _of_binary(predictions: Tensor, targets: Tensor, ending: LossEnding) -> BatchScore:
    if predictions.numel() == len(predictions):
        edge = 0.0 if ending.from_logits else 0.5
        wanted = (targets.reshape(-1) > 0.5).long()
        guesses = (predictions.reshape(-1) > edge).long()
        return _scored(guesses, wanted, torch.ones_like(wanted, dtype=torch.bool), 2)
    if predictions.dim() != 2 or predictions.shape != targets.shape:
        return BatchScore()
    # One of several classes where each row has a single 1. Several labels of a row have no recall by class here: then
    # nothing counts, which is known only once the numbers are fetched.
    most = max(_FEW, _MOST_NUMBERS // predictions.shape[1])
    wanted = targets[:most]
    is_exclusive = (((wanted == 0) | (wanted == 1)).all() & (wanted.sum(1) == 1).all()).expand(len(wanted))
    score = _scored(predictions[:most].argmax(1), wanted.argmax(1), is_exclusive, predictions.shape[1])
    return score._replace(sums=None, classes=None if score.recalls is None else score.recalls[0])


def _of_numbers(predictions: Tensor, targets: Tensor) -> BatchScore:
    rows = len(targets)
    apart = math.ceil(targets.numel() / (rows * _MOST_OUTPUTS))
    wanted, results = (tensor.reshape(rows, -1)[:, ::apart].double() for tensor in (targets, predictions))
    count = wanted.new_full((wanted.shape[1],), rows)
    sums = torch.stack([count, (wanted - results).square().sum(0), wanted.sum(0), wanted.square().sum(0)])
    return BatchScore(sums)


def _scored(guesses: Tensor, wanted: Tensor, counted: Tensor, classes: int) -> BatchScore:
    """Return the score of guesses of classes."""
    sets = torch.stack([counted, (guesses == wanted) & counted])
    if classes > _MOST_RECALLS:
        return BatchScore(sets.sum(1).flip(0).float())
    recalls = _counts(wanted, sets, classes)
    return BatchScore(recalls.sum(1).flip(0), recalls=recalls)


def _counts(classes: Tensor, sets: Tensor, many: int) -> Tensor:
    """Return how many rows of each class are in each set of rows; `sets` as (sets, rows)."""
    counts = torch.zeros((len(sets), many), device=classes.device)
    return counts.scatter_add_(1, classes.clamp(0, many - 1).expand(len(sets), -1), sets.float())
