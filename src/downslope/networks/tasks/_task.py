"""What is to be trained, whatever it is made of: an objective, where it begins, and what becomes of its trace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from downslope._types import Point
from downslope.descent import Objective
from downslope.networks._trained import Training
from downslope.trace import Trace


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be trained.

    Args:
        objective: what to go down, averaged over batches.
        start: where it begins.
        batch: examples of one batch; None for all of them.
        training: the training that a trace of it makes.
        drawn: where it begins with weights drawn by another seed; None where it always begins at one place.
        revived: `revived(point, memory, fresh)` returns a point whose dead units have the weights of a fresh one; None
            where units are not known.
    """

    objective: Objective
    start: Point
    batch: int | None
    training: Callable[[Trace], Training]
    drawn: Callable[[int], Point] | None = None
    revived: Callable[[Point, Any, Point], Point] | None = None

    def start_of(self, seed: int) -> Point:
        """Return where it begins with a seed of its own."""
        return self.start if self.drawn is None else self.drawn(seed)


@dataclass(frozen=True)
class Batching:
    """How many examples a step is to see.

    Args:
        batch: examples of one batch; None for all of them.
        accumulate: batches of one step.
    """

    batch: int | None
    accumulate: int

    def of(self, rows: int) -> int | None:
        """Return the examples of one batch of so many rows; None where a step sees all of them."""
        return None if self.batch is None or self.batch * self.accumulate >= rows else self.batch
