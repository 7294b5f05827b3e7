"""Joint regions of two parameters by profile likelihood: rays to the border, its extent, and the border traced.

Rays from the best values end where ζ reaches its value at the border, whatever its shape. Parts of a region that bends
round a corner cannot be seen from there, so that a picture follows the border instead: a step along it, then Newton's
method back onto it, in the coordinates in which the ellipse of the linear approximation is a circle.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from downslope.fitting._profile import Interval, MisfitSurface, ends_along, intervals

_ROUNDS_OF_RAYS = 6  # of which each adds as many at most to the border of a region
_FAR_AWAY = 20.0  # typical distances of the border; how much farther a point is decides no gap
_OFF_BORDER = 0.05  # of ζ at the border: how far the middle between two points of it may be off
_ON_BORDER = 1e-7  # of ζ at the border: how near to it a traced point lies
_NEAR = 1e-4  # of it: how near to a traced border the end of a ray is
_CORRECTIONS = 12  # of Newton's method back onto the border
_FIRST_STEP, _SHORTEST = 0.1, 1e-4  # of the ellipse's radius: of a step along the border
_TURN = math.cos(math.radians(15))  # the most that the border turns in a step
_SAG = 0.04  # of a step that turns so far: between the border and its chord
_MOST_STEPS = 4000


@dataclass(frozen=True, eq=False)
class ConfidenceRegion:
    """A joint confidence region of two parameters by profile likelihood.

    Args:
        names: the two parameters.
        level: the level.
        points: the border as seen from the fit, a closed curve, shape (points + 1, 2); infinite in a direction in which
            the region is open.
        linear: the ellipse of the linear approximation at the same angles, shape (points + 1, 2).
        extent: the lowest and the highest value of each parameter in the region; infinite where it is open.
        is_all: whether the lines between neighbouring points run along the border. A region that bends round a corner,
            or is open, has parts that no straight line from the fit reaches.
    """

    names: tuple[str, str]
    level: float
    points: np.ndarray
    linear: np.ndarray
    extent: tuple[Interval, Interval]
    is_all: bool


def region(surface: MisfitSurface, pair: tuple[int, int], quantile: float, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the border of the joint region of two parameters, and that of its ellipse, shapes (count + 1, 2).

    Args:
        surface: the squares.
        pair: indices of the parameters.
        quantile: √(2F) at the level.
        count: number of angles.
    """
    chosen = np.array(pair)
    root = _Plane(surface, pair, quantile).root
    angles = np.linspace(0.0, math.tau, count // 2, endpoint=False)
    distances = np.empty(0)
    while True:
        new = angles[len(distances) :]
        unit = np.stack([np.cos(new), np.sin(new)], axis=-1)
        directions = np.zeros((len(new), len(surface.best)))
        directions[:, chosen] = unit @ root.T  # one standard error in each direction
        held = np.zeros_like(directions, bool)
        held[:, chosen] = True
        distances = np.concatenate([distances, ends_along(surface, directions, held, quantile)])
        if len(angles) == count:
            break
        # Evenly spaced rays miss a bend far away; the rest go where two points of the border are farthest apart.
        angles = np.concatenate(
            [angles, _in_gaps(angles, distances, min(count - len(angles), count // _ROUNDS_OF_RAYS))]
        )
    order = np.argsort(angles)
    angles, distances = angles[order], distances[order]
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1) @ root.T
    best = surface.best[chosen]
    with np.errstate(all="ignore"):
        borders = [best + np.where(circle == 0, 0.0, reach * circle) for reach in (distances[:, None], quantile)]
    profiled, linear = (np.concatenate([border, border[:1]]) for border in borders)
    return profiled, linear


def extent(surface: MisfitSurface, pair: tuple[int, int], quantile: float) -> tuple[Interval, Interval]:
    """Return the lowest and the highest value of each of two parameters in their joint region."""
    chosen = np.array(pair)
    errors = np.sqrt(np.diag(surface.covariance)[chosen])
    # The highest value of a parameter is where the border is level: there the squares are least along the other one.
    ends = intervals(surface, chosen, errors, quantile)
    return ends[pair[0]], ends[pair[1]]


def runs_along(surface: MisfitSurface, pair: tuple[int, int], quantile: float, border: np.ndarray) -> bool:
    """Tell whether the lines between neighbouring points of a border run along it, by their middles."""
    if not np.all(np.isfinite(border)):
        return False
    rises = _rise_at(surface, pair, (border[1:] + border[:-1]) / 2)[0] / quantile
    return bool(np.all(np.abs(rises - 1) < _OFF_BORDER))


def _rise_at(
    surface: MisfitSurface, pair: tuple[int, int], values: np.ndarray, nearby: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return ζ at values of two parameters, shape (points,), infinite where there is none, and the refitted points.

    Args:
        surface: the squares.
        pair: indices of the parameters.
        values: of both, shape (points, 2).
        nearby: refitted points near to each, shape (points, free); the best values if None.
    """
    chosen = list(pair)
    others = [index for index in range(len(surface.best)) if index not in chosen]
    starts = np.tile(surface.best, (len(values), 1)) if nearby is None else np.array(nearby)
    across = np.linalg.solve(surface.covariance[np.ix_(chosen, chosen)], surface.covariance[np.ix_(chosen, others)])
    starts[:, others] += (values - starts[:, chosen]) @ across
    starts[:, others] = np.clip(starts[:, others], *(side[others] for side in surface.bounds))
    starts[:, chosen] = values
    held = np.zeros(starts.shape, bool)
    held[:, chosen] = True
    with np.errstate(all="ignore"):
        ends, squares = surface.refit(starts, held)
        rises = surface.rise(squares)
    usable = np.all(np.isfinite(ends), axis=1)[:, None]
    return np.where(np.isfinite(rises), rises, np.inf), np.where(usable, ends, starts)


def _in_gaps(angles: np.ndarray, distances: np.ndarray, count: int) -> np.ndarray:
    """Return angles in the middle of the widest gaps between points of a border, shape (count,).

    Args:
        angles: shape (rays,).
        distances: of the border from the centre, shape (rays,); infinite where there is none.
        count: the number of new angles, at most that of the rays.
    """
    order = np.argsort(angles)
    finite = distances[np.isfinite(distances)]
    typical = float(np.median(finite)) if len(finite) else 1.0
    turned, reach = angles[order], np.minimum(distances[order], _FAR_AWAY * typical)
    points = reach[:, None] * np.stack([np.cos(turned), np.sin(turned)], axis=-1)
    gaps = np.linalg.norm(np.roll(points, -1, axis=0) - points, axis=1)
    widest = np.sort(np.argsort(-gaps, kind="stable")[:count])
    following = np.where(widest + 1 < len(turned), turned[(widest + 1) % len(turned)], turned[0] + math.tau)
    return (turned[widest] + following) / 2 % math.tau


@dataclass(frozen=True)
class _Plane:
    """The plane of two parameters in which the ellipse of the linear approximation is a circle.

    Args:
        surface: the squares.
        pair: indices of the parameters.
        quantile: ζ at the border.
    """

    surface: MisfitSurface
    pair: tuple[int, int]
    quantile: float

    @functools.cached_property
    def root(self) -> np.ndarray:
        """The matrix from the plane to the parameters."""
        return np.linalg.cholesky(self.surface.covariance[np.ix_(self.pair, self.pair)])

    def values(self, positions: np.ndarray) -> np.ndarray:
        """Return both parameters at positions of the plane, shape (…, 2)."""
        return self.surface.best[list(self.pair)] + positions @ self.root.T

    def positions(self, values: np.ndarray) -> np.ndarray:
        """Return the positions of values of both parameters, shape (…, 2)."""
        return np.linalg.solve(self.root, (values - self.surface.best[list(self.pair)]).T).T

    def rise(self, position: np.ndarray, nearby: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Return ζ less that at the border, its gradient, and the refitted point; a point nearby to start from."""
        rises, ends = _rise_at(self.surface, self.pair, self.values(position)[None], nearby[None])
        directions = np.zeros((2, len(nearby)))
        directions[:, list(self.pair)] = self.root.T
        slopes = self.surface.slope(np.repeat(ends, 2, axis=0), directions)
        return float(rises[0]) - self.quantile, slopes / (self.surface.variance * rises[0]), ends[0]

    def onto_border(self, position: np.ndarray, nearby: np.ndarray, reach: float) -> _OnBorder | None:
        """Return the position on the border near to another one; None where it is farther than a reach."""
        start = position
        for _ in range(_CORRECTIONS):
            off, gradient, nearby = self.rise(position, nearby)
            steepness = float(gradient @ gradient)
            if not (math.isfinite(off) and math.isfinite(steepness) and steepness > 0):
                return None
            if abs(off) < _ON_BORDER * self.quantile:
                outward = gradient / math.sqrt(steepness)
                return _OnBorder(position, np.array([-outward[1], outward[0]]), nearby)
            position = position - off * gradient / steepness
            if np.linalg.norm(position - start) > reach:
                return None
        return None


class _OnBorder(NamedTuple):
    """A point of a border.

    Args:
        position: in the plane.
        tangent: of length 1, with the region at its left.
        point: the refitted parameters.
    """

    position: np.ndarray
    tangent: np.ndarray
    point: np.ndarray


def arcs(
    surface: MisfitSurface, pair: tuple[int, int], quantile: float, rays: np.ndarray, box: np.ndarray
) -> list[np.ndarray]:
    """Return the pieces of a border inside a box, each of shape (points, 2), with the region at its left.

    Args:
        surface: the squares.
        pair: indices of the parameters.
        quantile: ζ at the border.
        rays: points of the border, shape (rays, 2).
        box: lowest and highest value of each parameter, shape (2, 2).
    """
    plane = _Plane(surface, pair, quantile)
    inside = np.all((rays >= box[:, 0]) & (rays <= box[:, 1]), axis=1)
    traced: list[np.ndarray] = []
    with np.errstate(all="ignore"):
        for position in plane.positions(rays[inside]):
            if any(_lies_on(position, positions, quantile) for positions in traced):
                continue
            # A ray that ends at a bound ends inside of the region.
            start = plane.onto_border(position, surface.best, _NEAR * quantile)
            if start is None:
                continue
            ahead, is_closed = _followed(plane, start, 1.0, box)
            behind = [] if is_closed else _followed(plane, start, -1.0, box)[0]
            traced.append(np.array([*behind[:0:-1], *ahead]))
    return [plane.values(positions) for positions in traced]


def _followed(plane: _Plane, start: _OnBorder, sign: float, box: np.ndarray) -> tuple[list[np.ndarray], bool]:
    """Return the positions along a border from one on it, to the first outside of a box, and whether it came back."""
    here, positions = start, [start.position]
    step = _FIRST_STEP * plane.quantile
    for _ in range(_MOST_STEPS):
        ahead = here.position + sign * step * here.tangent
        there = plane.onto_border(ahead, here.point, step / 2)
        if there is None or there.tangent @ here.tangent < _TURN:
            step /= 2
            if step < _SHORTEST * plane.quantile:
                break
            continue
        positions.append(there.position)
        values = plane.values(there.position)
        if np.any((values < box[:, 0]) | (values > box[:, 1])):
            break
        back = np.linalg.norm(there.position - start.position)
        if len(positions) > 3 and back < 1.2 * step and there.tangent @ start.tangent > 0:
            return [*positions, start.position], True
        here = there
        step = min(1.5 * step, _FIRST_STEP * (plane.quantile + float(np.linalg.norm(here.position))))
    return positions, False


def _lies_on(position: np.ndarray, positions: np.ndarray, quantile: float) -> bool:
    """Tell whether a position lies on lines between positions, but for their sag."""
    along = np.diff(positions, axis=0)
    lengths = np.linalg.norm(along, axis=1)
    share = np.clip(np.sum((position - positions[:-1]) * along, axis=1) / np.maximum(lengths, 1e-300) ** 2, 0, 1)
    off = np.linalg.norm(position - positions[:-1] - share[:, None] * along, axis=1)
    return bool(np.any(off < _SAG * lengths + _NEAR * quantile))
