"""What kind of point it is: a slope, a minimum, a maximum, a saddle, or degenerate.

A point is stationary when the Newton step from it is within rounding of where it stands, or the decrease that this
step foresees
drowns in the rounding of the value; both are free of units. Then the signs of the Hessian's eigenvalues decide, each
held against the largest. Where some vanish, higher terms decide: the value is looked at along those directions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_FLAT = 1e-9  # share of the largest eigenvalue below which one counts as zero: its rounding is some 1e-12
_NEAR = 1e-7  # share of the point's size by which the Newton step may miss: √ε and a digit
_RADII = (1e-4, 1e-3, 1e-2)  # of the point's size: where higher terms are looked for


class Kind(NamedTuple):
    """The kind of a point, and a sentence where it needs one."""

    name: str
    note: str


def kind_of_point(
    values: Callable[[np.ndarray], np.ndarray],
    point: np.ndarray,
    value: float,
    gradient: np.ndarray,
    hessian: np.ndarray | None,
) -> Kind:
    """Return the kind of a point.

    Args:
        values: the objective at many points, shape (points, size) to (points,).
        point: the coordinates, shape (size,).
        value: the objective there.
        gradient: shape (size,).
        hessian: shape (size, size); None if it is too large, which only a slope can do without.
    """
    if not (np.isfinite(value) and np.all(np.isfinite(gradient))):
        return Kind("not finite", "the value or the gradient is not a finite number here")
    if hessian is None or not np.all(np.isfinite(hessian)):
        flat = bool(np.all(gradient == 0))
        return Kind("degenerate" if flat else "slope", "the curvature was not computed" if flat else "")
    eigenvalues, directions = np.linalg.eigh((hessian + hessian.T) / 2)
    largest = float(np.max(np.abs(eigenvalues), initial=0.0))
    size = np.maximum(np.abs(point), 1.0)
    zero = np.abs(eigenvalues) <= _FLAT * largest
    if not _is_stationary(eigenvalues, directions, gradient, zero, value, float(np.max(size))):
        return Kind("slope", "")
    if not zero.any():
        return _by_signs(eigenvalues)
    if eigenvalues[0] < 0 < eigenvalues[-1] and not (zero[0] or zero[-1]):
        return Kind("saddle", "")
    return _by_looking(values, point, value, eigenvalues, directions, zero, float(np.max(size)))


def _is_stationary(
    eigenvalues: np.ndarray,
    directions: np.ndarray,
    gradient: np.ndarray,
    zero: np.ndarray,
    value: float,
    size: float,
) -> bool:
    """Tell whether the gradient is zero but for rounding."""
    along = directions.T @ gradient
    if not np.any(along):
        return True
    bent = ~zero
    steps = np.abs(along[bent] / eigenvalues[bent])
    near = bool(np.all(steps <= _NEAR * size))
    drowned = bool(np.sum(steps * np.abs(along[bent])) <= 1e-14 * abs(value)) and bool(np.all(steps <= 1e-4 * size))
    largest = float(np.max(np.abs(eigenvalues), initial=0.0))
    rest = np.abs(along[zero]) <= max(_FLAT * largest * size, 1e-12 * abs(value), 1e-14)
    return (near or drowned) and bool(np.all(rest))


def _by_signs(eigenvalues: np.ndarray) -> Kind:
    """Return the kind that the signs of the eigenvalues decide."""
    if eigenvalues[0] > 0:
        return Kind("minimum", "")
    return Kind("maximum", "") if eigenvalues[-1] < 0 else Kind("saddle", "")


def _by_looking(
    values: Callable[[np.ndarray], np.ndarray],
    point: np.ndarray,
    value: float,
    eigenvalues: np.ndarray,
    directions: np.ndarray,
    zero: np.ndarray,
    size: float,
) -> Kind:
    """Return the kind where the Hessian is singular, from the values along the directions in which it is flat."""
    flat = directions[:, zero]
    rng = np.random.default_rng(0)
    mixed = flat @ rng.normal(size=(flat.shape[1], 24))
    rays = np.concatenate([flat, mixed / np.linalg.norm(mixed, axis=0)], axis=1).T
    rays = np.concatenate([rays, -rays])
    rows = np.concatenate([point + radius * size * rays for radius in _RADII])
    change = values(rows) - value
    floor = 1e-14 * max(abs(value), 1e-300)
    change = change.reshape(len(_RADII), -1)
    rises, falls = bool(np.any(change > floor)), bool(np.any(change < -floor))
    curves_up, curves_down = eigenvalues[-1] > 0 and not zero[-1], eigenvalues[0] < 0 and not zero[0]
    constant = bool(np.any(np.all(np.abs(change) <= floor, axis=0)))
    if falls and (rises or curves_up):
        return Kind("saddle", "the Hessian is singular; values around rise one way and fall another")
    if constant or not (rises or falls):
        return Kind(
            "degenerate", "the Hessian is singular and the value does not change along a line through the point"
        )
    if rises and not curves_down:
        return Kind("minimum", "a flat one: the Hessian is singular, and higher terms make the value rise all around")
    if falls and not curves_up:
        return Kind("maximum", "a flat one: the Hessian is singular, and higher terms make the value fall all around")
    return Kind("saddle", "the Hessian is singular; values around rise one way and fall another")
