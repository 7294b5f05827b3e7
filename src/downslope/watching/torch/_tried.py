"""A PyTorch criterion tested on artificial outputs: whether it pairs them with targets and mixes rows.

Each number is a change of the loss over the change that is due, that between outputs drawn anew; see `LossFacts`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from downslope.watching.torch._library import Tensor, torch

_ROWS, _DRAWS = 16, 4
_TOWARDS = 0.25  # of the way to the targets


def tried(criterion: Callable[[Any, Any], Any], targets: Tensor, outputs: int, *, classes: bool) -> dict[str, float]:
    """Return how a criterion behaves, as facts; nothing where it cannot be tried.

    Args:
        criterion: `criterion(outputs, targets)`, a number.
        targets: some targets as the loop has them, shape (rows, …).
        outputs: the numbers that the network makes of one example.
        classes: whether the targets are indices of classes.
    """
    random = np.random.default_rng(0)
    some = targets[torch.as_tensor(random.permutation(len(targets))[:_ROWS])]
    rows = len(some)
    if rows < _ROWS // 2:
        return {}
    size = 1.0 if classes else float(some.double().std()) or 1.0
    centre = 0.0 if classes else float(some.double().mean())
    drawn = [
        torch.as_tensor(centre + size * random.normal(size=(rows, outputs)), dtype=torch.float32) for _ in range(_DRAWS)
    ]
    order = torch.as_tensor(np.roll(np.arange(rows), rows // 2 - 1))
    others = torch.as_tensor(random.integers(outputs, size=rows)) if classes else some + size * 0.5 + (some - centre)
    others = others.to(some.dtype)
    # A criterion may draw, as one with dropout in it; the generator of the loop stays where it is.
    with torch.no_grad(), torch.random.fork_rng(devices=[]):

        def value(outputs_drawn: Tensor, wanted: Tensor) -> float:
            return float(torch.as_tensor(criterion(outputs_drawn, wanted)).double().mean())

        base = [value(each, some) for each in drawn]
        due = max(base) - min(base)
        if not math.isfinite(due) or due <= 0:
            return {}
        first, second = drawn[0], drawn[1]
        half = rows // 2
        mixed = [torch.cat([a[:half], b[half:]]) for a, b in ((first, second), (second, first))]
        nearer = [_nearer(each, some, classes, size) for each in drawn]
        changes = [abs(value(each, some[order]) - x) for each, x in zip(drawn, base, strict=True)]
        interaction = base[0] + base[1] - sum(value(each, some) for each in mixed)
        joint = (base[0] - base[1]) - (value(first, others) - value(second, others))
        descent = [value(near, some) - x for near, x in zip(nearer, base, strict=True) if near is not None]
    facts = {"unpaired": max(changes) / due, "not_additive": abs(interaction) / due, "joint": abs(joint) / due}
    if descent:
        facts["descent"] = min(descent) / due
    return {name: number for name, number in facts.items() if math.isfinite(number)}


def _nearer(outputs_drawn: Tensor, targets: Tensor, classes: bool, size: float) -> Tensor | None:
    """Return outputs that lie nearer to their targets; None where the two have not the same numbers."""
    if classes:
        return outputs_drawn.scatter_add(1, targets.long().reshape(-1, 1), torch.full((len(outputs_drawn), 1), size))
    if targets.numel() != outputs_drawn.numel():
        return None
    return outputs_drawn + _TOWARDS * (targets.reshape(outputs_drawn.shape).to(outputs_drawn.dtype) - outputs_drawn)
