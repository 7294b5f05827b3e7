"""Shared parts of the frameworks' recordings: when to measure the curvature, and which weights to keep."""

from __future__ import annotations

import contextlib
import warnings

from downslope._errors import in_a_line

MOST_WEIGHTS = 10_000_000  # numbers that are kept as they were at start and end, or before a step
_FIRST_DOUBLING = 100  # the step of the second look at the curvature; each later one comes after twice the steps


def next_curvature(step: int, every: int | None = None) -> int:
    """Return the step at which the curvature is due after a look at a step; None for ever longer distances.

    >>> next_curvature(0), next_curvature(100), next_curvature(100, every=30)
    (100, 200, 130)
    """
    return step + every if every else max(_FIRST_DOUBLING, 2 * step)


def ended_by(error: Exception, step: int, what: str = "looking into the layers") -> str:
    """Warn that something failed, and return the sentence that the facts keep; the training continues.

    Args:
        error: how it failed.
        step: the step at which it did.
        what: what ends by it.
    """
    reason = in_a_line(error)
    with contextlib.suppress(UserWarning):  # where warnings are errors, this one must not be one in the loop
        warnings.warn(f"{what} ended at step {step} ({reason}); the training continues", stacklevel=5)
    return f"{what[0].upper()}{what[1:]} ended at step {step}: {reason}."
