"""The numeric search for all zeros of a gradient in a box.

Starting points are a low-discrepancy sequence and, in one and two dimensions, the cells of a fine grid in which every
component of the gradient changes sign. From each, Levenberg–Marquardt steps minimise ‖∇f‖², which converges to zeros
with a singular Hessian as well. Newton steps refine the results, and duplicates are merged.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope._numbers import median
from downslope.formulas._formula import Formula
from downslope.formulas.evaluation import ARRAYS, NumericFormula, evaluate, stable
from downslope.formulas.expressions import numpy_functions

# Grid points per axis, odd so that the centre is among them; in three dimensions a grid would need millions of points.
_GRID = {1: 20_001, 2: 361}
_STARTS = {1: 400, 2: 3000}
_MANY_STARTS = 6000
_ROUNDS = 60
_FEW_ROUNDS = 30
_SAME = 1e-6  # distance, as a fraction of the box, below which two points are one
_SAME_FLAT = 2e-2  # the same for singular Hessians, where convergence is slow and stops some distance away
_MOST_FLAT = 2000  # points with a singular Hessian that are looked at
_FLAT_SHARE = 1e-9  # of the typical gradient: below this all around a point, the function is constant there


@dataclass(frozen=True)
class StationaryPoint:
    """A zero of the gradient.

    Args:
        coordinates: shape (variables,).
        note: a remark if the point represents a set of zeros, else "".
    """

    coordinates: np.ndarray
    note: str


class Derivatives:
    """A formula, its gradient and its Hessian, evaluated at many points at once."""

    def __init__(self, formula: Formula) -> None:
        self.names = formula.variables
        self._body = stable(formula.body)
        self._numeric = NumericFormula(formula, ARRAYS)

    def value(self, points: np.ndarray) -> np.ndarray:
        """Return the formula at points of shape (points, variables)."""
        with np.errstate(all="ignore"):
            return _rows(evaluate(self._body, _by_name(self.names, points), numpy_functions()), points)

    def gradient(self, points: np.ndarray) -> np.ndarray:
        """Return the gradient at points, shape (points, variables)."""
        _, gradient = self._numeric.value_and_gradient(_columns(points))
        return np.stack([_rows(part, points) for part in gradient], axis=-1)

    def hessian(self, points: np.ndarray) -> np.ndarray:
        """Return the Hessian at points, shape (points, variables, variables)."""
        _, _, hessian = self._numeric.value_gradient_hessian(_columns(points))
        return np.stack([np.stack([_rows(entry, points) for entry in row], axis=-1) for row in hessian], axis=-2)


def _by_name(names: tuple[str, ...], points: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(names, _columns(points), strict=True))


def _columns(points: np.ndarray) -> list[np.ndarray]:
    """Return the coordinates of points, an array for each variable."""
    return [points[..., axis] for axis in range(points.shape[-1])]


def _rows(values: Any, points: np.ndarray) -> np.ndarray:
    """Return a value for each point."""
    return np.broadcast_to(np.asarray(values, dtype=float), points.shape[:-1])


def polished(derivatives: Derivatives, points: np.ndarray, span: np.ndarray) -> np.ndarray:
    """Return points moved downhill on ‖∇f‖ to a zero close by, singular or not."""
    start = points.copy()
    settled = _down(derivatives, points, span, _FEW_ROUNDS)
    return _newton(derivatives, settled if len(settled) == len(start) else start, span)


def scaled_curvatures(derivatives: Derivatives, point: np.ndarray, span: np.ndarray) -> np.ndarray:
    """Return the eigenvalues of the Hessian in units of the box, as shares of the largest."""
    hessian = derivatives.hessian(point[None])[0] * np.outer(span, span)
    if not np.all(np.isfinite(hessian)):
        return np.zeros(len(point))
    curvatures = np.linalg.eigvalsh(hessian)
    return curvatures / max(float(np.max(np.abs(curvatures))), 1e-300)


def search(derivatives: Derivatives, box: np.ndarray, seconds: float = 2.0) -> list[StationaryPoint]:
    """Return the zeros of the gradient in a box of shape (variables, 2), with a limit in seconds of the CPU."""
    span = box[:, 1] - box[:, 0]
    starts = _starts(derivatives, box)
    points = _down(derivatives, starts, span, until=time.thread_time() + seconds)
    points = _newton(derivatives, points, span)
    # Zeros on the boundary count: allow for rounding, then clip.
    points = points[np.all((points >= box[:, 0] - 1e-9 * span) & (points <= box[:, 1] + 1e-9 * span), axis=1)]
    points = np.clip(points, box[:, 0], box[:, 1])
    scale = _gradient_scale(derivatives, box)
    hessian, gradient = derivatives.hessian(points), derivatives.gradient(points)
    finite = np.all(np.isfinite(gradient), axis=1) & np.all(np.isfinite(hessian), axis=(1, 2))
    points, hessian, gradient = points[finite], hessian[finite], gradient[finite]
    steepness = np.linalg.norm(gradient, axis=1)
    eigenvalues = np.linalg.eigvalsh(hessian) if len(points) else np.empty((0, len(box)))
    largest = np.max(np.abs(eigenvalues), axis=1, initial=0.0)
    smallest = np.min(np.abs(eigenvalues), axis=1, initial=np.inf)
    regular = (smallest > 1e-7 * largest) & (largest > 0)
    converged = steepness <= 1e-9 * np.minimum(largest * np.min(span), scale) + 1e-13 * scale
    # ‖H⁻¹∇f‖ ≤ ‖∇f‖/λmin bounds the distance to the zero: accept only if it is 1e-7 of the box or less.
    close = regular & (steepness <= 1e-7 * smallest * np.min(span)) & converged
    sharp = [
        point
        for point in _gathered(points[close], steepness[close], _SAME * span)
        if _bumpy(derivatives, point, span, scale)
    ]
    flat = ~regular & (steepness <= 1e-9 * scale)
    blunt = _gathered_flat(derivatives, points[flat], span, box, scale)
    # A flat representative close to a regular zero is that zero, reached with less accuracy.
    blunt = [point for point in blunt if all(np.any(np.abs(point.coordinates - p) > 1e-3 * span) for p in sharp)]
    return [StationaryPoint(np.where(np.abs(point) <= 1e-12 * span, 0.0, point), "") for point in sharp] + blunt


def _starts(derivatives: Derivatives, box: np.ndarray) -> np.ndarray:
    """Return starting points: centre, corners, cells in which each gradient component changes sign, a spread."""
    size = len(box)
    spread = _spread(box, _STARTS.get(size, _MANY_STARTS))
    corners = np.array(np.meshgrid(*box)).reshape(size, -1).T
    centre = box.mean(axis=1)[None]
    if size not in _GRID:
        return np.concatenate([centre, corners, spread])
    axes = [np.linspace(low, high, _GRID[size]) for low, high in box]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    gradient = derivatives.gradient(grid)
    # A cell can contain a zero only if every component changes sign over its corners, by continuity.
    changes = np.ones(tuple(count - 1 for count in grid.shape[:-1]), dtype=bool)
    for part in range(size):
        low, high = _corner_range(gradient[..., part])
        changes &= (low <= 0) & (high >= 0)
    middle = _corner_mean(grid)[changes]
    return np.concatenate([centre, corners, middle, spread])


def _corner_range(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and greatest value at the corners of each cell; NaN if any of them is NaN."""
    low, high = values, values
    for axis in range(values.ndim):
        before = [slice(None)] * values.ndim
        after = list(before)
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        low = np.minimum(low[tuple(before)], low[tuple(after)])
        high = np.maximum(high[tuple(before)], high[tuple(after)])
    return low, high


def _corner_mean(grid: np.ndarray) -> np.ndarray:
    """Return the centre of each cell."""
    for axis in range(grid.ndim - 1):
        before = [slice(None)] * grid.ndim
        after = list(before)
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        grid = (grid[tuple(before)] + grid[tuple(after)]) / 2
    return grid


def _spread(box: np.ndarray, count: int) -> np.ndarray:
    """Return points spread evenly over a box, by the additive recurrence of the generalised golden ratio.

    References: Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018.
    """
    size = len(box)
    ratio = 2.0
    for _ in range(40):  # the fixed point of r = (1 + r)^(1/(d + 1)): the golden ratio for d = 1
        ratio = (1 + ratio) ** (1 / (size + 1))
    steps = ratio ** -np.arange(1, size + 1)
    unit = (0.5 + np.arange(1, count + 1)[:, None] * steps) % 1.0
    return box[:, 0] + unit * (box[:, 1] - box[:, 0])


def _down(
    derivatives: Derivatives,
    points: np.ndarray,
    span: np.ndarray,
    rounds: int = _ROUNDS,
    until: float = math.inf,
) -> np.ndarray:
    """Minimise ‖∇f‖² from each point by Levenberg–Marquardt steps, each with its own damping."""
    points = points.copy()
    gradient = derivatives.gradient(points)
    norm = np.sum(gradient**2, axis=1)
    damping = np.full(len(points), 1e-3)
    active = np.isfinite(norm)
    for _ in range(rounds):
        rows = np.flatnonzero(active)
        if len(rows) == 0 or time.thread_time() > until:
            break
        step = _damped_step(derivatives, points[rows], gradient[rows], damping[rows], span)
        tried = points[rows] + step
        new = derivatives.gradient(tried)
        new_norm = np.sum(new**2, axis=1)
        better = new_norm < norm[rows]
        good = rows[better]
        points[good], gradient[good], norm[good] = tried[better], new[better], new_norm[better]
        # The damping grows faster than it shrinks, so that a rejected value is not tried again after one success.
        damping[good] = np.maximum(damping[good] / 5, 1e-14)
        damping[rows[~better]] *= 8
        # Finished: at an exact zero, below the resolution of floats, or no step of any damping helps.
        still = np.max(np.abs(step) / span, axis=1) <= 1e-15
        active[rows[(norm[rows] == 0) | still | (damping[rows] > 1e12)]] = False
    return points[np.isfinite(norm)]


def _damped_step(
    derivatives: Derivatives, points: np.ndarray, gradient: np.ndarray, damping: np.ndarray, span: np.ndarray
) -> np.ndarray:
    """Return the step −(H² + μI)⁻¹H∇f in coordinates scaled by the box, at most a tenth of the box long."""
    hessian = derivatives.hessian(points) * span[:, None] * span[None, :]
    slope = gradient * span
    finite = np.all(np.isfinite(hessian), axis=(1, 2))
    hessian[~finite] = 0.0
    scale = np.maximum(np.max(np.abs(hessian), axis=(1, 2)), 1e-300)
    # Dividing H and ∇f by the largest entry of H leaves the step unchanged and makes μ a relative damping. The added
    # 1e-15 keeps a zero Hessian solvable.
    scaled, slope = hessian / scale[:, None, None], slope / scale[:, None]
    square = scaled @ scaled + (damping[:, None, None] + 1e-15) * np.eye(len(span))
    with np.errstate(all="ignore"):
        step = -np.linalg.solve(square, (scaled @ slope[..., None]))[..., 0]
    # Limit the length: a nearly singular system gives steps that leave the box.
    longest = np.maximum(np.max(np.abs(step), axis=1) / 0.1, 1.0)
    return np.nan_to_num(step / longest[:, None]) * span


def _newton(derivatives: Derivatives, points: np.ndarray, span: np.ndarray) -> np.ndarray:
    """Refine points by a few Newton steps; keep a step only if it reduces the gradient."""
    for _ in range(6):
        gradient, hessian = derivatives.gradient(points), derivatives.hessian(points)
        hessian = np.where(np.all(np.isfinite(hessian), axis=(1, 2), keepdims=True), hessian, 0.0)
        # The pseudo-inverse moves across a line of zeros only, not along it, where a solve would fail.
        with np.errstate(all="ignore"):
            step = -(np.linalg.pinv(hessian, rcond=1e-11, hermitian=True) @ gradient[..., None])[..., 0]
        step = np.nan_to_num(step, nan=0.0, posinf=0.0, neginf=0.0)
        # A step over 1 % of the box may lead to another zero, and would lose this one.
        tried = points + np.where(np.max(np.abs(step) / span, axis=1, keepdims=True) < 0.01, step, 0.0)
        better = np.sum(derivatives.gradient(tried) ** 2, axis=1) < np.sum(gradient**2, axis=1)
        points = np.where(better[:, None], tried, points)
    return points


def _gradient_scale(derivatives: Derivatives, box: np.ndarray) -> float:
    """Return a typical gradient norm: the median over the box, at least 1e-3 of the maximum."""
    norms = np.linalg.norm(derivatives.gradient(_spread(box, 2000)), axis=1)
    norms = norms[np.isfinite(norms)]
    if len(norms) == 0:
        return 1.0
    # The median alone is zero for functions that are constant over half of the box.
    return float(max(median(norms), 1e-3 * norms.max(), 1e-300))


def _gathered(points: np.ndarray, steepness: np.ndarray, radius: np.ndarray) -> list[np.ndarray]:
    """Return one point of each group within a radius: the one with the smallest gradient."""
    kept: list[np.ndarray] = []
    order = np.argsort(steepness, kind="stable")
    # Sorted by gradient, so the first of each group is its most accurate point.
    left = points[order]
    while len(left):
        kept.append(left[0])
        left = left[np.any(np.abs(left - left[0]) > radius, axis=1)]
    return kept


def _gathered_flat(
    derivatives: Derivatives, points: np.ndarray, span: np.ndarray, box: np.ndarray, scale: float
) -> list[StationaryPoint]:
    """Merge points with a singular Hessian: keep each isolated zero, and a representative of each line or surface."""
    if len(points) > _MOST_FLAT:  # as where the gradient is rounding all over
        points = points[np.linspace(0, len(points) - 1, _MOST_FLAT).astype(int)]
    bumpy = np.array([_bumpy(derivatives, point, span, scale) for point in points], dtype=bool)
    points = points[bumpy]
    stationary: list[StationaryPoint] = []
    left = points
    centre = box.mean(axis=1)
    while len(left):
        group, left = _connected(left, _SAME_FLAT * span)
        # A group wider than the convergence error of a single zero is a line or surface.
        extent = np.max(np.ptp(group, axis=0) / span)
        if extent > 4 * _SAME_FLAT:
            nearest = group[np.argmin(np.sum(((group - centre) / span) ** 2, axis=1))]
            exact = _settled(derivatives, nearest, centre, span)
            note = "a line or surface of critical points, of which this is the nearest to the centre of the box"
            stationary.append(StationaryPoint(exact, note))
        else:
            norms = np.linalg.norm(derivatives.gradient(group), axis=1)
            stationary.append(StationaryPoint(_rounded(derivatives, group[np.argmin(norms)], span), ""))
    return stationary


def _bumpy(derivatives: Derivatives, point: np.ndarray, span: np.ndarray, scale: float) -> bool:
    """Return whether the gradient rises above zero near a point, so that the point is not inside a constant region."""
    around = point + _spread(np.tile([-1.0, 1.0], (len(span), 1)), 40) * 0.01 * span
    return bool(np.nanmax(np.linalg.norm(derivatives.gradient(around), axis=1)) > _FLAT_SHARE * scale)


def _connected(points: np.ndarray, radius: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the points reachable from the first by steps shorter than a radius, and the other points."""
    reached = np.zeros(len(points), dtype=bool)
    reached[0] = True
    frontier = [0]
    while frontier:
        index = frontier.pop()
        near = ~reached & np.all(np.abs(points - points[index]) <= radius, axis=1)
        reached |= near
        frontier += list(np.flatnonzero(near))
    return points[reached], points[~reached]


def _settled(derivatives: Derivatives, point: np.ndarray, centre: np.ndarray, span: np.ndarray) -> np.ndarray:
    """Return the point of a line of zeros nearest to the centre: move along the line, then project back onto it."""
    for _ in range(200):
        hessian = derivatives.hessian(point[None])[0]
        eigenvalues, directions = np.linalg.eigh(hessian)
        # The null space of the Hessian is tangent to the set of zeros.
        along = directions[:, np.abs(eigenvalues) <= 1e-6 * max(np.max(np.abs(eigenvalues)), 1e-300)]
        moved = point + along @ (along.T @ (centre - point)) * 0.5
        moved = _newton(derivatives, moved[None], span)[0]
        if np.max(np.abs(moved - point) / span) < 1e-14:
            break
        point = moved
    return _rounded(derivatives, point, span)


def _rounded(derivatives: Derivatives, point: np.ndarray, span: np.ndarray) -> np.ndarray:
    """Return the nearest round point if the gradient is no larger there: flat zeros are accurate to few digits only."""
    for digits in (2, 3, 4):
        rounded = np.round(point, digits)
        if np.all(np.abs(rounded - point) <= 2e-3 * span):
            there, here = (np.linalg.norm(derivatives.gradient(candidate[None])[0]) for candidate in (rounded, point))
            if there <= here:
                return rounded + 0.0
    return np.where(np.abs(point) <= 1e-12 * span, 0.0, point)
