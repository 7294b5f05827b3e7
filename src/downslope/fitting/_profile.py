"""Intervals and regions by profile likelihood: how far parameters can move while the others are refitted.

With some parameters held at a distance ρ from the best values along a direction, and the others refitted, the squares
are S(ρ). The signed root ζ(ρ) = ±√((S(ρ) − S_min)/s²) is a straight line for a linear model, and the end of an interval
is where it reaches Student's t. Newton's method finds it: by the envelope theorem dS/dρ = 2 rᵀJd with the other
parameters as they are. All parameters and both sides are lanes of one refit; which parameters are held is data.

Reference: Bates and Watts, Nonlinear Regression Analysis and Its Applications, 1988, chapter 6.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from downslope.fitting._least_squares import is_bounded
from downslope.fitting._levenberg_marquardt import Linearised, refitted

_TRIES = 60  # steps of a refit; most end within five
_ROUNDS = 80
_REACHED = 1e-8  # of the target: ζ nearer to it than this has reached it
_GROWTH = 4.0  # most that a distance grows from one round to the next
_OPEN = 1e7  # standard errors; an end beyond is open
_EDGE = 1e-9  # relative distance between the last point with a value and the first without


class Interval(NamedTuple):
    """An interval of a parameter; an end that the data do not determine is infinite."""

    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Profile:
    """The rise of the squares as a parameter moves and the others are refitted.

    Args:
        name: the parameter.
        best: its value in the fit.
        standard_error: its standard error.
        values: values of the parameter, ascending, shape (points,).
        zeta: the signed root of the rise of the squares in units of the residual variance, shape (points,); a straight
            line of slope 1/standard error for a linear model.
        parameters: all free parameters at each point, shape (points, free).
        names: the free parameters, in order.
        interval: where ζ reaches ±`quantile`.
        quantile: Student's t (or the normal distribution's) at the level.
        level: the level of the interval.
    """

    name: str
    best: float
    standard_error: float
    values: np.ndarray
    zeta: np.ndarray
    parameters: np.ndarray
    names: tuple[str, ...]
    interval: Interval
    quantile: float
    level: float

    @property
    def linear(self) -> np.ndarray:
        """The straight line (value − best)/standard error, shape (points,)."""
        return (self.values - self.best) / self.standard_error


@dataclass(frozen=True, eq=False)
class MisfitSurface:
    """The squares of a fit around their minimum.

    Args:
        linearised: residuals and Jacobian at points, shapes (points, rows) and (points, rows, free).
        best: the best parameters, shape (free,).
        variance: s² of a residual; 1 where σ is known.
        covariance: of the free parameters, 0 in directions that the data do not determine, shape (free, free).
        bounds: lowest and highest value of each free parameter.
        together: how many points may be refitted at once, for memory.
    """

    linearised: Linearised
    best: np.ndarray
    variance: float
    covariance: np.ndarray
    bounds: tuple[np.ndarray, np.ndarray]
    together: int

    @functools.cached_property
    def lowest(self) -> float:
        """Half the sum of squares at the best parameters."""
        residuals, _ = self.linearised(self.best[None])
        return float(np.sum(residuals * residuals)) / 2

    def refit(self, starts: np.ndarray, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the points with the least squares where some parameters stay as they start, and half the squares.

        Args:
            starts: shape (points, free).
            held: which parameters stay, shape (points, free).
        """
        if held.all():
            squares = [np.sum(self.linearised(starts[part])[0] ** 2, axis=-1) / 2 for part in self._parts(len(starts))]
            return starts, np.concatenate(squares)
        parts = [self._refitted(starts[part], held[part]) for part in self._parts(len(starts))]
        return np.concatenate([ends for ends, _ in parts]), np.concatenate([squares for _, squares in parts])

    def _refitted(self, starts: np.ndarray, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        def apart(free: np.ndarray, lanes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            residuals, jacobian = self.linearised(free)
            # The solution of least squares for a column of zeros is 0: such a parameter stays.
            return residuals, np.where(held[lanes, None, :], 0.0, jacobian)

        return refitted(apart, starts, self.bounds, is_bounded(self.bounds), _TRIES)

    def rise(self, half_squares: np.ndarray) -> np.ndarray:
        """Return ζ, the root of the rise of the squares in units of s²."""
        return np.sqrt(np.maximum(2 * (half_squares - self.lowest), 0.0) / self.variance)

    def slope(self, points: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Return d(half squares)/dρ along directions of the held parameters, shape (points,)."""
        slopes = []
        for part in self._parts(len(points)):
            residuals, jacobian = self.linearised(points[part])
            along = np.einsum("prf,pf->pr", jacobian, directions[part])
            slopes.append(np.sum(residuals * along, axis=-1))
        return np.concatenate(slopes)

    def followed(self, directions: np.ndarray, held: np.ndarray) -> np.ndarray:
        """Return directions of held parameters, with the others following as in a linear model."""
        full = np.array(directions)
        for row, (direction, fixed) in enumerate(zip(directions, held, strict=True)):
            inner = self.covariance[np.ix_(fixed, fixed)]
            across = self.covariance[np.ix_(~fixed, fixed)]
            full[row, ~fixed] = across @ (np.linalg.pinv(inner) @ direction[fixed])
        return full

    def _parts(self, count: int) -> list[slice]:
        return [slice(first, first + self.together) for first in range(0, count, self.together)]


def ends_along(surface: MisfitSurface, directions: np.ndarray, held: np.ndarray, target: float) -> np.ndarray:
    """Return the distance along each direction at which ζ reaches a target; infinite where it never does.

    A bound of a held parameter ends the search, as does a point beyond which the model has no value.

    Args:
        surface: the squares.
        directions: of the held parameters, about a standard error long, 0 for the others, shape (lanes, free).
        held: which parameters are held, shape (lanes, free).
        target: the value of ζ.
    """
    with np.errstate(all="ignore"):
        return _EndSearch(surface, directions, held, target).run()


class _EndSearch:
    """The state of the search in every lane."""

    def __init__(self, surface: MisfitSurface, directions: np.ndarray, held: np.ndarray, target: float) -> None:
        self._surface, self._directions, self._held, self._target = surface, directions, held, target
        lanes = len(directions)
        self._farthest = _farthest(surface, directions)
        self._near, self._far = np.zeros(lanes), np.full(lanes, np.inf)  # where ζ is below and where it is above
        self._blocked = np.zeros(lanes, bool)  # whether the far end has no value
        self._tangent = surface.followed(directions, held)
        self._points = np.tile(surface.best, (lanes, 1))
        self._at = np.zeros(lanes)
        self._ends = np.where(self._farthest > 0, np.nan, 0.0)

    def run(self) -> np.ndarray:
        """Return the ends."""
        distance = np.minimum(self._target, self._farthest)
        for _ in range(_ROUNDS):
            open_lanes = np.flatnonzero(np.isnan(self._ends))
            if not len(open_lanes):
                break
            distance[open_lanes] = self._advanced(open_lanes, distance[open_lanes])
        return np.where(np.isnan(self._ends), self._near, self._ends)

    def _advanced(self, lanes: np.ndarray, distance: np.ndarray) -> np.ndarray:
        """Refit lanes at some distances, and return the distances to try next."""
        surface, held, directions = self._surface, self._held[lanes], self._directions[lanes]
        starts = self._points[lanes] + (distance - self._at[lanes])[:, None] * self._tangent[lanes]
        starts = np.where(held, surface.best + distance[:, None] * directions, starts)
        points, squares = surface.refit(np.clip(starts, *surface.bounds), held)
        zeta = surface.rise(squares)
        has_value = np.isfinite(zeta) & np.all(np.isfinite(points), axis=-1)
        above = ~has_value | (zeta >= self._target)
        self._blocked[lanes] = np.where(above, ~has_value, self._blocked[lanes])
        self._keep(lanes[has_value], points[has_value], distance[has_value])
        self._far[lanes] = np.where(above, np.minimum(self._far[lanes], distance), self._far[lanes])
        self._near[lanes] = np.where(above, self._near[lanes], np.maximum(self._near[lanes], distance))
        self._finish(lanes, distance, zeta, has_value, above)
        slope = surface.slope(points, directions) / (surface.variance * zeta)
        aimed = distance - (zeta - self._target) / slope
        return self._safe(lanes, np.where(has_value & (slope > 0), aimed, np.nan), distance)

    def _keep(self, lanes: np.ndarray, points: np.ndarray, distance: np.ndarray) -> None:
        """Take points as the nearest ones, and the change from the last ones as the tangent."""
        change = points - self._points[lanes]
        moved = distance - self._at[lanes]
        tangent = change / np.where(moved == 0, 1.0, moved)[:, None]
        usable = (moved != 0) & np.all(np.isfinite(tangent), axis=-1)
        self._tangent[lanes] = np.where(usable[:, None], tangent, self._tangent[lanes])
        self._points[lanes], self._at[lanes] = points, distance

    def _finish(
        self, lanes: np.ndarray, distance: np.ndarray, zeta: np.ndarray, has_value: np.ndarray, above: np.ndarray
    ) -> None:
        """Note the lanes that have arrived: at the target, at a bound, at the edge of the model, or nowhere."""
        ends = self._ends[lanes]
        near, far = self._near[lanes], self._far[lanes]
        ends = np.where(~above & (distance >= self._farthest[lanes]), self._farthest[lanes], ends)
        ends = np.where(~above & (distance >= _OPEN), np.inf, ends)
        narrow = np.isfinite(far) & (far - near <= _EDGE * far)
        ends = np.where(narrow, np.where(near >= _OPEN, np.inf, near), ends)
        ends = np.where(has_value & (np.abs(zeta - self._target) <= _REACHED * self._target), distance, ends)
        self._ends[lanes] = ends

    def _safe(self, lanes: np.ndarray, aimed: np.ndarray, distance: np.ndarray) -> np.ndarray:
        """Return distances within the brackets: those aimed at where they lie inside, the middle otherwise."""
        near, far = self._near[lanes], self._far[lanes]
        grown = np.where(np.isfinite(aimed) & (aimed > distance), np.minimum(aimed, _GROWTH * distance), np.nan)
        outward = np.where(np.isnan(grown), _GROWTH * distance, np.maximum(grown, 1.05 * distance))
        outward = np.minimum(outward, self._farthest[lanes])
        inside = (aimed > near) & (aimed < far)
        middle = np.where((near > 0) & (far > _GROWTH * near), np.sqrt(near * far), (near + far) / 2)
        return np.where(np.isfinite(far), np.where(inside & ~self._blocked[lanes], aimed, middle), outward)


def _farthest(surface: MisfitSurface, directions: np.ndarray) -> np.ndarray:
    """Return how far each direction goes until a held parameter meets its bound, shape (lanes,)."""
    low, high = surface.bounds
    with np.errstate(all="ignore"):
        room = np.where(directions > 0, high - surface.best, surface.best - low) / np.abs(directions)
    return np.min(np.where(directions == 0, np.inf, np.maximum(room, 0.0)), axis=-1)


def intervals(surface: MisfitSurface, chosen: np.ndarray, errors: np.ndarray, target: float) -> dict[int, Interval]:
    """Return the interval of each chosen parameter, by its index.

    Args:
        surface: the squares.
        chosen: indices of parameters that the data determine.
        errors: about the standard error of each, shape (chosen,).
        target: Student's t at the level.
    """
    if not len(chosen):
        return {}
    units = np.eye(len(surface.best))[chosen] * errors[:, None]
    directions = np.concatenate([-units, units])
    held = directions != 0
    distances = ends_along(surface, directions, held, target).reshape(2, -1)
    return {
        int(index): Interval(
            *(float(surface.best[index] + sign * distance * error) for sign, distance in ((-1, low), (1, high)))
        )
        for index, error, low, high in zip(chosen, errors, *distances, strict=True)
    }


def profile_points(surface: MisfitSurface, index: int, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the refitted parameters, shape (points, free), and the signed ζ at values of one parameter."""
    held = np.zeros((1, len(surface.best)), bool)
    held[0, index] = True
    tangent = surface.followed(np.eye(len(surface.best))[[index]], held)[0]
    points, zeta = np.empty((len(values), len(surface.best))), np.empty(len(values))
    best = float(surface.best[index])
    for side in (np.flatnonzero(values >= best), np.flatnonzero(values < best)[::-1]):
        last = surface.best
        for row in side:  # outward, each from its neighbour
            start = last + (values[row] - last[index]) * tangent
            start[index] = values[row]
            ended, squares = surface.refit(np.clip(start, *surface.bounds)[None], held)
            points[row], zeta[row] = ended[0], surface.rise(squares)[0]
            last = ended[0] if np.all(np.isfinite(ended)) else last
    return points, np.where(values < best, -zeta, zeta)
