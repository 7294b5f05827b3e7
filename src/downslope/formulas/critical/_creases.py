"""Points at which a formula is stationary along common zeros of borders, sought by Newton's method from many starts.

On u = 0 a kink can be critical only where the formula is stationary along the border: where ∇f₀ = Σ λᵢ·∇uᵢ, f₀ the
formula as it is on one side and uᵢ the borders that meet (Lagrange). Planes and, in two variables, single curves have
exact or proved ways of their own; this one takes any borders of any number of variables, and proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from downslope._numbers import median
from downslope.formulas._roughness import rough_parts
from downslope.formulas.critical._stationary_search import Derivatives
from downslope.formulas.expressions import (
    ZERO,
    Call,
    Expression,
    Negative,
    Number,
    Quotient,
    constant_value,
    names_in,
    with_trees,
)
from downslope.formulas.symbolic import differentiate

_STARTS = 96
_STEPS_ONTO = 8
_STEPS = 30
_LONGEST = 0.15  # share of the box that one step may go
_ARRIVED = 1e-14  # share of the box
_ON_BORDER = 1e-11  # share of the box within which a border is met
_LEVEL = 1e-8  # share of the gradient that may be left along the border
_SAME = 1e-6  # share of the box within which two points are one
_CROWD = 24  # points from which on they lie along a curve
_LISTED = 7  # points of such a curve


def stationary_on(borders: Sequence[Derivatives], body: Derivatives, box: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return points of borders at which a formula is stationary along them, and whether they fill a curve.

    Args:
        borders: what is zero, fewer than there are variables.
        body: the smooth formula on one side of the borders.
        box: shape (variables, 2).
    """
    span = box[:, 1] - box[:, 0]
    starts = box[:, 0] + np.random.default_rng(0).random((_STARTS, len(box))) * span
    with np.errstate(all="ignore"):
        points = _onto(borders, starts, span)
        points = _settled(borders, body, points[np.all(np.isfinite(points), axis=1)], span)
        inside = np.all((points >= box[:, 0] - 1e-9 * span) & (points <= box[:, 1] + 1e-9 * span), axis=1)
        points = np.clip(points[inside], box[:, 0], box[:, 1])
        points = points[_is_stationary(borders, body, points, span)]
    single = _single(points, span)
    if len(single) < _CROWD:
        return single, False
    away = np.sum(((single - box.mean(axis=1)) / span) ** 2, axis=1)
    return single[np.argsort(away)[np.linspace(0, len(single) - 1, _LISTED).astype(int)]], True


def _onto(borders: Sequence[Derivatives], points: np.ndarray, span: np.ndarray) -> np.ndarray:
    """Return points moved to common zeros of borders by the shortest of Newton's steps."""
    for _ in range(_STEPS_ONTO):
        values, slopes = _linear(borders, points, span)
        points = points - span * _limited(np.einsum("kij,kj->ki", np.linalg.pinv(slopes), values))
    return points


def _linear(borders: Sequence[Derivatives], points: np.ndarray, span: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values, shape (points, borders), and gradients in units of the box, (points, borders, variables)."""
    values = np.stack([border.value(points) for border in borders], axis=1)
    slopes = np.stack([border.gradient(points) * span for border in borders], axis=1)
    return np.nan_to_num(values, posinf=0, neginf=0), np.nan_to_num(slopes, posinf=0, neginf=0)


def _limited(steps: np.ndarray) -> np.ndarray:
    """Return steps in units of the box, none longer than allowed."""
    longest = np.max(np.abs(steps), axis=1, keepdims=True)
    return steps * np.minimum(1, _LONGEST / np.maximum(longest, 1e-300))


def _settled(borders: Sequence[Derivatives], body: Derivatives, points: np.ndarray, span: np.ndarray) -> np.ndarray:
    """Return where Newton's steps for Lagrange's equations lead from points."""
    size, count = points.shape[1], len(borders)
    unit = np.outer(span, span)
    for _ in range(_STEPS):
        if not len(points):
            break
        values, slopes = _linear(borders, points, span)
        gradient = np.nan_to_num(body.gradient(points) * span, posinf=0, neginf=0)
        factors = np.einsum("kji,kj->ki", np.linalg.pinv(slopes), gradient)
        curved = body.hessian(points) - sum(
            factors[:, index, None, None] * border.hessian(points) for index, border in enumerate(borders)
        )
        system = np.zeros((len(points), size + count, size + count))
        system[:, :size, :size] = np.nan_to_num(curved * unit, posinf=0, neginf=0)
        system[:, :size, size:] = slopes.transpose(0, 2, 1)
        system[:, size:, :size] = slopes
        left = np.concatenate([gradient, values], axis=1)
        # A singular system, as along a curve of solutions, is solved by the shortest step.
        step = _limited(np.einsum("kij,kj->ki", np.linalg.pinv(system, rcond=1e-12), left)[:, :size])
        points = points - span * step
        if np.max(np.abs(step)) <= _ARRIVED:
            break
    return points[np.all(np.isfinite(points), axis=1)]


def _is_stationary(
    borders: Sequence[Derivatives], body: Derivatives, points: np.ndarray, span: np.ndarray
) -> np.ndarray:
    """Tell which points lie on the borders and are stationary along them."""
    values, slopes = _linear(borders, points, span)
    met = np.all(np.abs(values) <= _ON_BORDER * np.linalg.norm(slopes, axis=2) + 1e-300, axis=1)
    gradient = body.gradient(points) * span
    factors = np.einsum("kji,kj->ki", np.linalg.pinv(slopes), gradient)
    along = np.linalg.norm(gradient - np.einsum("kji,kj->ki", slopes, factors), axis=1)
    typical = median(np.linalg.norm(gradient, axis=1)) if len(points) else 0.0
    return met & (along <= _LEVEL * np.maximum(np.linalg.norm(gradient, axis=1), typical))


def _single(points: np.ndarray, span: np.ndarray) -> np.ndarray:
    """Return each of several equal points once."""
    kept: list[np.ndarray] = []
    for point in points:
        if not kept or not np.any(np.all(np.abs(np.array(kept) - point) <= _SAME * span, axis=1)):
            kept.append(point)
    return np.array(kept).reshape(-1, len(span))


def value_on_border(node: Expression) -> Expression | None:
    """Return what a rough part is where its border is zero."""
    match node:
        case Call("abs" | "relu" | "cbrt", _):
            return ZERO
        case Call("max" | "min", (first, _)):
            return first
        case Call("max" | "min", arguments):
            return arguments[0]
        case _:
            return ZERO if type(node).__name__ == "Power" else None


def solved_for_variable(border: Expression) -> tuple[str, Expression] | None:
    """Return a variable in which a border is linear, with what it is where the border is zero; None for none."""
    if any(part.has_two_sides for part in rough_parts(border)):
        return None
    for variable in names_in(border):
        slope = constant_value(differentiate(border, variable))
        if slope:
            return variable, Quotient(Negative(with_trees(border, {variable: ZERO})), Number(slope))
    return None
