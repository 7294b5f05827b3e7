"""What the looks of all frameworks have in common: when the curvature is due, and how many weights are kept."""

from __future__ import annotations

MOST_WEIGHTS = 10_000_000  # numbers that are kept as they were at start and end, or before a step
_FIRST_DOUBLING = 100  # the step of the second look at the curvature; each later one comes after twice the steps


def next_curvature(step: int, every: int | None = None) -> int:
    """Return the step at which the curvature is due after a look at a step; None for ever longer distances.

    >>> next_curvature(0), next_curvature(100), next_curvature(100, every=30)
    (100, 200, 130)
    """
    return step + every if every else max(_FIRST_DOUBLING, 2 * step)
