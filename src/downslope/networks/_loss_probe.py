"""What a loss does as a function of outputs and targets, tried on outputs that are made up."""

from __future__ import annotations

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
    toward = guess + _STEP * (some.reshape(guess.shape) - guess) if some.size == guess.size else guess
    dealt = [np.roll(some, shift, axis=0) for shift in range(1, rows)]
    half = rows // 2
    whole, moved, *others = _values(loss, [guess, toward, *[guess] * len(dealt)], [some, some, *dealt])
    first, second = _values(loss, [guess[:half], guess[half:]], [some[:half], some[half:]])
    size = max(abs(whole), 1e-12)
    return {
        "unpaired": max(abs(value - whole) for value in others) / size,
        "not_additive": abs((first + second) / 2 - whole) / size,
        "descent": (moved - whole) / size if some.size == guess.size else None,
    }


def _values(loss: Loss, outputs: list[np.ndarray], targets: list[np.ndarray]) -> list[float]:
    """Return the loss of several batches of one size."""
    from downslope._engine import jax

    each = jax().jit(lambda pairs: jax().lax.map(lambda pair: loss.of_batch(*pair), pairs))
    return np.asarray(each((np.stack(outputs).astype(np.float32), np.stack(targets)))).tolist()
