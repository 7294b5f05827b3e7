"""The numeric search for zeros of a gradient in a box.

In one and two dimensions a fine grid shows the cells in which every part of the gradient changes sign; in any number
many starts go down ‖∇f‖ by Levenberg and Marquardt's steps, which also reach zeros where the Hessian is singular. What
is left is polished by Newton's steps, and points that are one are gathered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from downslope.formulas._evaluation import evaluate
from downslope.formulas._formula import Formula
from downslope.formulas._functions import numpy_functions

_GRID = {1: 20_001, 2: 361}
_STARTS = {1: 400, 2: 3000}
_MANY_STARTS = 6000
_ROUNDS = 60
_SAME = 1e-6  # of the box: points closer than this are one
_SAME_FLAT = 2e-2  # the same where the Hessian is singular, where steps come to rest some way off
_FLAT_GROUND = (
    1e-9  # of a typical gradient: where it is less all around, the ground is a plain, and none of it is found
)


@dataclass(frozen=True)
class Found:
    """A zero of the gradient.

    Args:
        coordinates: shape (variables,).
        note: a sentence where the point stands for many, else "".
    """

    coordinates: np.ndarray
    note: str


class Ground:
    """A formula with its gradient and Hessian, at many points at once."""

    def __init__(self, formula: Formula) -> None:
        self.names = formula.variables
        self._value = formula.body
        gradient = formula.gradient()
        self._gradient = [part.body for part in gradient]
        self._hessian = [[entry.body for entry in part.gradient()] for part in gradient]

    def value(self, points: np.ndarray) -> np.ndarray:
        """Return the formula at points of shape (points, variables)."""
        return self._at(self._value, points)

    def gradient(self, points: np.ndarray) -> np.ndarray:
        """Return the gradient at points, shape (points, variables)."""
        return np.stack([self._at(part, points) for part in self._gradient], axis=-1)

    def hessian(self, points: np.ndarray) -> np.ndarray:
        """Return the Hessian at points, shape (points, variables, variables)."""
        rows = [np.stack([self._at(entry, points) for entry in row], axis=-1) for row in self._hessian]
        return np.stack(rows, axis=-2)

    def _at(self, tree: object, points: np.ndarray) -> np.ndarray:
        values = {name: points[..., place] for place, name in enumerate(self.names)}
        with np.errstate(all="ignore"):
            found = evaluate(tree, values, numpy_functions())  # pyright: ignore[reportArgumentType] - trees of this module
        return np.broadcast_to(np.asarray(found, dtype=float), points.shape[:-1])


def search(ground: Ground, box: np.ndarray) -> list[Found]:
    """Return the zeros of the gradient in a box of shape (variables, 2)."""
    span = box[:, 1] - box[:, 0]
    starts = _starts(ground, box)
    points = _down(ground, starts, span)
    points = _newton(ground, points, span)
    points = points[np.all((points >= box[:, 0] - 1e-9 * span) & (points <= box[:, 1] + 1e-9 * span), axis=1)]
    points = np.clip(points, box[:, 0], box[:, 1])
    scale = _gradient_scale(ground, box)
    hessian, gradient = ground.hessian(points), ground.gradient(points)
    whole = np.all(np.isfinite(gradient), axis=1) & np.all(np.isfinite(hessian), axis=(1, 2))
    points, hessian, gradient = points[whole], hessian[whole], gradient[whole]
    steepness = np.linalg.norm(gradient, axis=1)
    eigenvalues = np.linalg.eigvalsh(hessian) if len(points) else np.empty((0, len(box)))
    largest = np.max(np.abs(eigenvalues), axis=1, initial=0.0)
    smallest = np.min(np.abs(eigenvalues), axis=1, initial=np.inf)
    regular = (smallest > 1e-7 * largest) & (largest > 0)
    done = steepness <= 1e-9 * np.minimum(largest * np.min(span), scale) + 1e-13 * scale
    close = regular & (steepness <= 1e-7 * smallest * np.min(span)) & done
    sharp = [
        one for one in _gathered(points[close], steepness[close], _SAME * span) if _bumpy(ground, one, span, scale)
    ]
    flat = ~regular & (steepness <= 1e-9 * scale)
    blunt = _gathered_flat(ground, points[flat], steepness[flat], span, box, scale)
    blunt = [one for one in blunt if all(np.any(np.abs(one.coordinates - p) > 1e-3 * span) for p in sharp)]
    return [Found(np.where(np.abs(one) <= 1e-12 * span, 0.0, one), "") for one in sharp] + blunt


def _starts(ground: Ground, box: np.ndarray) -> np.ndarray:
    """Return where to start: cells in which every part of the gradient changes sign, and points all over."""
    size = len(box)
    spread = _spread(box, _STARTS.get(size, _MANY_STARTS))
    corners = np.array(np.meshgrid(*box)).reshape(size, -1).T
    centre = box.mean(axis=1)[None]
    if size not in _GRID:
        return np.concatenate([centre, corners, spread])
    axes = [np.linspace(low, high, _GRID[size]) for low, high in box]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    gradient = ground.gradient(grid)
    changes = np.ones(tuple(count - 1 for count in grid.shape[:-1]), dtype=bool)
    for part in range(size):
        low, high = _corner_range(gradient[..., part])
        changes &= (low <= 0) & (high >= 0)
    middle = _corner_mean(grid)[changes]
    return np.concatenate([centre, corners, middle, spread])


def _corner_range(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the greatest value at the corners of each cell; NaN where one is not finite."""
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
    for _ in range(40):
        ratio = (1 + ratio) ** (1 / (size + 1))
    steps = ratio ** -np.arange(1, size + 1)
    unit = (0.5 + np.arange(1, count + 1)[:, None] * steps) % 1.0
    return box[:, 0] + unit * (box[:, 1] - box[:, 0])


def _down(ground: Ground, points: np.ndarray, span: np.ndarray) -> np.ndarray:
    """Return the points after steps down ‖∇f‖², each with a damping of its own."""
    points = points.copy()
    gradient = ground.gradient(points)
    norm = np.sum(gradient**2, axis=1)
    damping = np.full(len(points), 1e-3)
    active = np.isfinite(norm)
    for _ in range(_ROUNDS):
        rows = np.flatnonzero(active)
        if len(rows) == 0:
            break
        step = _damped_step(ground, points[rows], gradient[rows], damping[rows], span)
        tried = points[rows] + step
        new = ground.gradient(tried)
        new_norm = np.sum(new**2, axis=1)
        better = new_norm < norm[rows]
        good = rows[better]
        points[good], gradient[good], norm[good] = tried[better], new[better], new_norm[better]
        damping[good] = np.maximum(damping[good] / 5, 1e-14)
        damping[rows[~better]] *= 8
        still = np.max(np.abs(step) / span, axis=1) <= 1e-15
        active[rows[(norm[rows] == 0) | still | (damping[rows] > 1e12)]] = False
    return points[np.isfinite(norm)]


def _damped_step(
    ground: Ground, points: np.ndarray, gradient: np.ndarray, damping: np.ndarray, span: np.ndarray
) -> np.ndarray:
    """Return −(H² + μD)⁻¹H∇f in coordinates scaled by the box, no longer than a tenth of it."""
    hessian = ground.hessian(points) * span[:, None] * span[None, :]
    slope = gradient * span
    finite = np.all(np.isfinite(hessian), axis=(1, 2))
    hessian[~finite] = 0.0
    scale = np.maximum(np.max(np.abs(hessian), axis=(1, 2)), 1e-300)
    scaled, slope = hessian / scale[:, None, None], slope / scale[:, None]
    square = scaled @ scaled + (damping[:, None, None] + 1e-15) * np.eye(len(span))
    with np.errstate(all="ignore"):
        step = -np.linalg.solve(square, (scaled @ slope[..., None]))[..., 0]
    longest = np.maximum(np.max(np.abs(step), axis=1) / 0.1, 1.0)
    return np.nan_to_num(step / longest[:, None]) * span


def _newton(ground: Ground, points: np.ndarray, span: np.ndarray) -> np.ndarray:
    """Return the points after a few plain Newton steps, kept only where they bring the gradient down."""
    for _ in range(6):
        gradient, hessian = ground.gradient(points), ground.hessian(points)
        hessian = np.where(np.all(np.isfinite(hessian), axis=(1, 2), keepdims=True), hessian, 0.0)
        step = -(np.linalg.pinv(hessian, rcond=1e-11, hermitian=True) @ gradient[..., None])[..., 0]
        tried = points + np.where(np.max(np.abs(step) / span, axis=1, keepdims=True) < 0.01, step, 0.0)
        better = np.sum(ground.gradient(tried) ** 2, axis=1) < np.sum(gradient**2, axis=1)
        points = np.where(better[:, None], tried, points)
    return points


def _gradient_scale(ground: Ground, box: np.ndarray) -> float:
    """Return a typical gradient: the median norm, or a share of the largest where that is nothing."""
    norms = np.linalg.norm(ground.gradient(_spread(box, 2000)), axis=1)
    norms = norms[np.isfinite(norms)]
    if len(norms) == 0:
        return 1.0
    return float(max(np.median(norms), 1e-3 * norms.max(), 1e-300))


def _gathered(points: np.ndarray, steepness: np.ndarray, radius: np.ndarray) -> list[np.ndarray]:
    """Return one point, the flattest, of each group that lies within a radius."""
    kept: list[np.ndarray] = []
    order = np.argsort(steepness, kind="stable")
    left = points[order]
    while len(left):
        kept.append(left[0])
        left = left[np.any(np.abs(left - left[0]) > radius, axis=1)]
    return kept


def _gathered_flat(
    ground: Ground, points: np.ndarray, steepness: np.ndarray, span: np.ndarray, box: np.ndarray, scale: float
) -> list[Found]:
    """Return the points with a singular Hessian: each isolated one, and one for a line or a plain that they fill."""
    bumpy = np.array([_bumpy(ground, point, span, scale) for point in points], dtype=bool)
    points, steepness = points[bumpy], steepness[bumpy]
    found: list[Found] = []
    left = points
    centre = box.mean(axis=1)
    while len(left):
        group, left = _connected(left, _SAME_FLAT * span)
        extent = np.max(np.ptp(group, axis=0) / span)
        if extent > 4 * _SAME_FLAT:
            nearest_one = group[np.argmin(np.sum(((group - centre) / span) ** 2, axis=1))]
            exact = _settled(ground, nearest_one, centre, span)
            note = (
                "it stands for a whole line or surface of such points, of which it is the nearest to the box's centre"
            )
            found.append(Found(exact, note))
        else:
            norms = np.linalg.norm(ground.gradient(group), axis=1)
            found.append(Found(_rounded(ground, group[np.argmin(norms)], span), ""))
    return found


def _bumpy(ground: Ground, point: np.ndarray, span: np.ndarray, scale: float) -> bool:
    """Tell whether the gradient comes up from nothing close around a point."""
    around = point + _spread(np.tile([-1.0, 1.0], (len(span), 1)), 40) * 0.01 * span
    return bool(np.nanmax(np.linalg.norm(ground.gradient(around), axis=1)) > _FLAT_GROUND * scale)


def _connected(points: np.ndarray, radius: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the points that can be reached from the first in steps within a radius, and the rest."""
    reached = np.zeros(len(points), dtype=bool)
    reached[0] = True
    frontier = [0]
    while frontier:
        place = frontier.pop()
        near = ~reached & np.all(np.abs(points - points[place]) <= radius, axis=1)
        reached |= near
        frontier += list(np.flatnonzero(near))
    return points[reached], points[~reached]


def _settled(ground: Ground, point: np.ndarray, centre: np.ndarray, span: np.ndarray) -> np.ndarray:
    """Return the point of a line of zeros nearest to the centre: along the line, then back onto it."""
    for _ in range(200):
        hessian = ground.hessian(point[None])[0]
        eigenvalues, directions = np.linalg.eigh(hessian)
        along = directions[:, np.abs(eigenvalues) <= 1e-6 * max(np.max(np.abs(eigenvalues)), 1e-300)]
        moved = point + along @ (along.T @ (centre - point)) * 0.5
        moved = _newton(ground, moved[None], span)[0]
        if np.max(np.abs(moved - point) / span) < 1e-14:
            break
        point = moved
    return _rounded(ground, point, span)


def _rounded(ground: Ground, point: np.ndarray, span: np.ndarray) -> np.ndarray:
    """Return the nearest round point if the gradient is no larger there: a flat zero is known to a few digits only."""
    for digits in (2, 3, 4):
        round_one = np.round(point, digits)
        if np.all(np.abs(round_one - point) <= 2e-3 * span):
            there, here = (np.linalg.norm(ground.gradient(one[None])[0]) for one in (round_one, point))
            if there <= here:
                return round_one + 0.0
    return np.where(np.abs(point) <= 1e-12 * span, 0.0, point)
