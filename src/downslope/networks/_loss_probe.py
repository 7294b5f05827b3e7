"""What a loss does as a function of outputs and targets, tried on outputs that are made up."""

from __future__ import annotations

from typing import Any

import numpy as np

from downslope._types import Plain
from downslope.networks._losses import Loss

_ROWS = 16
_STEP = 1e-2


def loss_probe(loss: Loss, targets: np.ndarray, outputs: int) -> Plain:
    """Return how a loss behaves on made-up outputs, as shares of its size; None where it cannot be told.

    Args:
        loss: the loss.
        targets: shape (rows, …).
        outputs: how many numbers the network gives for one example.

    Returns:
        unpaired: what dealing the targets to other rows changes; 0 for a loss that does not compare row by row.
        not_additive: how far the loss of a batch is from the mean of those of its halves.
        descent: what moving the outputs towards the targets changes, of numbers; below 0 for a loss that is to fall.
    """
    random = np.random.default_rng(0)
    rows = min(_ROWS, len(targets) // 2 * 2)
    some = targets[random.permutation(len(targets))[:rows]]
    if rows < 4 or np.all(some == some[0]):
        return {"unpaired": None, "not_additive": None, "descent": None}
    guess = random.uniform(0.1, 0.9, (rows, outputs)).astype(np.float32)
    whole = _value(loss, guess, some)
    dealt = [_value(loss, guess, np.roll(some, shift, axis=0)) for shift in range(1, rows)]
    half = rows // 2
    halves = (_value(loss, guess[:half], some[:half]) + _value(loss, guess[half:], some[half:])) / 2
    size = max(abs(whole), 1e-12)
    return {
        "unpaired": max(abs(value - whole) for value in dealt) / size,
        "not_additive": abs(halves - whole) / size,
        "descent": _descent(loss, guess, some, whole) / size if some.size == guess.size else None,
    }


def _descent(loss: Loss, guess: np.ndarray, targets: np.ndarray, whole: float) -> float:
    """Return what a small move of the outputs towards targets of the same shape changes."""
    toward = guess + _STEP * (targets.reshape(guess.shape) - guess)
    return _value(loss, toward.astype(np.float32), targets) - whole


def _value(loss: Loss, outputs: np.ndarray, targets: Any) -> float:
    """Return the loss of a batch."""
    from downslope._engine import jax

    numpy = jax().numpy
    return float(loss.of_batch(numpy.asarray(outputs), numpy.asarray(targets)))
