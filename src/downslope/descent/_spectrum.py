"""The curvature that a trace keeps of its two ends."""

from __future__ import annotations

import numpy as np

from downslope._types import Point
from downslope.descent._curvature import hessian_ends, signed, split
from downslope.descent._objective import Objective
from downslope.trace import Spectrum


def spectrum_of_hessian(hessian: np.ndarray, step: int, like: Point, scale: np.ndarray | None = None) -> Spectrum:
    """Return the eigenvalues and end directions of a Hessian.

    Args:
        hessian: shape (size, size).
        step: the step at which it was measured.
        like: a point of the objective, for the names and shapes of its parts.
        scale: shape (size,), what the method divides each coordinate by; None if it does not.
    """
    symmetric = (hessian + hessian.T) / 2
    if not np.all(np.isfinite(symmetric)):
        nothing = np.full(len(symmetric), np.nan)
        return Spectrum(step, nothing, True, split(nothing, like), split(nothing, like))
    eigenvalues, directions = np.linalg.eigh(symmetric)
    highest = None
    if scale is not None and np.all(scale > 0):
        root = np.sqrt(scale)
        highest = float(np.linalg.eigvalsh(symmetric / np.outer(root, root))[-1])
    return Spectrum(
        step,
        eigenvalues,
        True,
        split(signed(directions[:, 0]), like),
        split(signed(directions[:, -1]), like),
        highest,
    )


def ends_of_large(objective: Objective, start: Point, end: Point, last_step: int) -> tuple[Spectrum, ...]:
    """Return the two ends of the Hessian by Lanczos at the start and at the end."""
    moments = [(last_step, end)] if last_step == 0 else [(0, start), (last_step, end)]
    return tuple(_ends(objective, point, step) for step, point in moments)


def _ends(objective: Objective, point: Point, step: int) -> Spectrum:
    """Return the lowest and highest eigenvalue at a point, with their directions."""
    ends = hessian_ends(objective, point)
    return Spectrum(
        step,
        np.array([ends.lowest, ends.highest]),
        False,
        ends.lowest_direction,
        ends.highest_direction,
    )
