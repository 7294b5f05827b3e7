"""Basins: end points of descents grouped by where they lie, each with its bottom, its kind and its share of the starts.

Descents stop near a bottom, not at it, and near it in many different points. So the ends are grouped by distance first,
the lowest of each group is moved to the bottom by Newton's method, its kind is read from gradient and Hessian, and
groups with one bottom are merged. All tolerances are in units of the extent (of the box or cloud) and of the relief (of
the objective over it), so that scaling a variable or the objective changes nothing.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope import _tree
from downslope._engine import jax, precision
from downslope._text import number
from downslope._types import Columns, Point, plain
from downslope.descent import values_at
from downslope.ensembles._creases import Creases
from downslope.ensembles._space import RowLayout, Space, derivatives, numeric_objective, program

_SAME = 1e-4  # of the extent: end points nearer to each other lie in one basin
_MOST_COLUMNS = 6
_MOST = 1000  # basins that are listed one by one
_AWAY = 1e6  # extents from the origin: a descent that ends farther away is unbounded
_NEWTON = 4  # steps from an end to the bottom; they converge quadratically
_REACH = 0.01  # of the extent: a longer Newton step might lead into another basin, and is refused
_SAMPLED = 1024  # points from which the relief is estimated
_LEVEL, _LEVEL_OF_VALUE = 1e-10, 1e-9  # of the relief and of the value: bottoms nearer in value are equally deep
_ROUNDINGS, _NEAR_FLAT = 2e-15, 1e-6  # shares of a value that rounding changes, of the extent missed by Newton's steps
_STEEP, _STEEP_OF_VALUE = 1e-12, 1e-10  # likewise the decrease that Newton's step may still predict at a bottom
_FLAT, _FLAT_OF_RELIEF = 1e-8, 1e-10  # of the largest curvature and of the relief: a smaller curvature is 0
_BESIDE = (1e-6, 1e-8)  # of the extent: a kink is a minimum if all points at this distance are higher
_DECADES = 10.0 ** -np.arange(2.0, 8.0)  # of the extent: distances at which a pole is looked for
_LASTING = 0.9  # of the fall in a decade that must remain in the next, for a pole
_ROUNDING = 1e-12  # of the extent: at this distance the value changes by rounding alone, or from a kink
_SUSPECTS = 64  # the lowest places, which are looked at for a pole
OTHER = "other"  # the kind of what lies behind the basins that are listed
_ABOUT = 8  # random directions, in addition to those of the curvature


@dataclass(frozen=True)
class Basin:
    """A set of descents that end at one point.

    Args:
        point: the bottom.
        value: the objective there; close to it, for a pole.
        kind: "minimum" (smooth or at a kink), "saddle", "maximum", "flat", "edge" (the value still falls beyond the
            bounds), "pole" (the value falls without bound) or "not at rest". All flat places of one value are one
            basin, and so are all descents that had not come to rest. After the thousand lowest places, all others are
            one basin of kind "other".
        count: how many descents ended there.
        share: of all descents.
    """

    point: Point
    value: float
    kind: str
    count: int
    share: float

    def as_dict(self) -> dict[str, Any]:
        """Return the basin as plain data."""
        return plain(
            {
                "point": {name: part.tolist() for name, part in _tree.arrays_by_part(self.point).items()},
                "value": self.value,
                "kind": self.kind,
                "count": self.count,
                "share": self.share,
            }
        )


def gathered(
    space: Space, ends: np.ndarray, *, along_creases: bool = False, counts: np.ndarray | None = None, total: int = 0
) -> tuple[tuple[Basin, ...], np.ndarray]:
    """Group end points into basins.

    Args:
        space: the box or cloud.
        ends: shape (ends, size).
        along_creases: whether a point beside a kink counts to the lowest point that the kink leads to, however far.
        counts: how many descents each end stands for, shape (ends,); None for one.
        total: how many descents there were, where ends stand for several.

    Returns:
        The basins, the lowest first, and the index of the basin of each end, shape (ends,); −1 for an end that is not
        finite, or so far away that the descent was unbounded.
    """
    values = heights(space, ends)
    index = np.full(len(ends), -1)
    total = total if counts is not None else len(ends)

    def counted(members: np.ndarray) -> tuple[int, float]:
        many = len(members) if counts is None else int(np.sum(counts[members]))
        return many, many / total

    with np.errstate(all="ignore"):
        units = (ends - space.origin) / space.extent
        ended = np.flatnonzero(np.isfinite(values) & np.all(np.abs(units) < _AWAY, axis=1))
        groups, rest = _groups(units[ended], values[ended])
        lowest = [members[0] for members in groups]
        bottoms, kinds, depths = (
            _bottoms(space, ends[ended[lowest]], along_creases) if groups else (ends[:0], [], values[:0])
        )
    basins = []
    for position, together in enumerate(_merged(space, bottoms, kinds, depths)):
        members = ended[np.concatenate([groups[group] for group in together])]
        index[members] = position
        first = together[0]
        point = _plain(space.layout, bottoms[first])
        basins.append(Basin(point, float(depths[first]), kinds[first], *counted(members)))
    if len(rest):
        index[ended[rest]] = len(basins)
        point = _plain(space.layout, ends[ended[rest[0]]])
        basins.append(Basin(point, float(values[ended[rest[0]]]), OTHER, *counted(ended[rest])))
    poles = _poles(space, ends, index, units)
    index[index >= 0] += len(poles)
    for position, members in enumerate(poles):
        index[members] = position
        point = _plain(space.layout, ends[members[0]])
        value = float(np.nanmin(_approach(space, ends[members[0]])))
        basins.insert(position, Basin(point, value, "pole", *counted(members)))
    return tuple(basins), index


def _poles(space: Space, ends: np.ndarray, index: np.ndarray, units: np.ndarray) -> list[np.ndarray]:
    """Return the groups of ends that have no finite value because they hit a pole."""
    left = np.flatnonzero((index < 0) & np.all(np.abs(units) < _AWAY, axis=1))
    return [members for members in _together(units, left, _SUSPECTS)[0] if is_pole(space, ends[members[0]])]


def _together(units: np.ndarray, left: np.ndarray, most: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Return groups of points near the first remaining one, at most a given number, and the rest.

    Single linkage would chain a long flat valley into one group; this way a group is never wider than twice the
    tolerance.
    """
    groups = []
    along = units[left, 0]  # most points are told apart by one coordinate, which costs a tenth of all of them
    while len(left) and len(groups) < most:
        near = np.flatnonzero(np.abs(along - along[0]) <= _SAME)
        if len(near) > 1:
            near = near[np.all(np.abs(units[left[near]] - units[left[0]]) <= _SAME, axis=1)]
        groups.append(left[near])
        apart = np.ones(len(left), dtype=bool)  # np.delete would take three times as long for a few
        apart[near] = False
        left, along = left[apart], along[apart]
    return groups, left


def is_far(space: Space, ends: np.ndarray) -> np.ndarray:
    """Return which ends are so far away that the descent was unbounded, shape (ends,)."""
    with np.errstate(all="ignore"):
        return ~np.all(np.abs((ends - space.origin) / space.extent) < _AWAY, axis=1)


_RELIEFS: weakref.WeakKeyDictionary[Space, float] = weakref.WeakKeyDictionary()


def relief(space: Space) -> float:
    """Return the scale of the objective's variation over a space: differences far below it count as 0.

    It is the lowest decile above the minimum of a sample. The range or the standard deviation would be set by the
    corners of the box, where a steep function such as x⁴ is larger by orders of magnitude than near its minima.
    """
    if space not in _RELIEFS:
        sample = heights(space, space.drawn(_SAMPLED, 0))
        sample = sample[np.isfinite(sample)]
        _RELIEFS[space] = float(np.quantile(sample, 0.1) - sample.min()) if len(sample) else 0.0
    return _RELIEFS[space]


def level(first: float, second: float, rise: float) -> bool:
    """Return whether two values are equal within the accuracy of a descent, given the relief `rise`."""
    return abs(first - second) <= _LEVEL * rise + _LEVEL_OF_VALUE * max(abs(first), abs(second))


def _merged(space: Space, bottoms: np.ndarray, kinds: Sequence[str], depths: np.ndarray) -> list[list[int]]:
    """Return the groups that form one basin (one bottom, flat at one value, or not at rest), the lowest first."""
    rise = relief(space)
    units = (bottoms - space.origin) / space.extent
    merged: list[list[int]] = []
    of_kind: dict[str, list[list[int]]] = {}
    for group in map(int, np.argsort(depths, kind="stable")):
        alike = of_kind.setdefault(kinds[group], [])
        firsts = [groups[0] for groups in alike]
        same = np.all(np.abs(units[firsts] - units[group]) <= _SAME, axis=1)
        if kinds[group] == "flat":
            same |= np.array([level(depths[first], depths[group], rise) for first in firsts], dtype=bool)
        elif kinds[group] == "not at rest":
            same[:] = True
        if same.any():
            alike[int(np.argmax(same))].append(group)
        else:
            alike.append([group])
            merged.append(alike[-1])
    return merged


def heights(space: Space, points: np.ndarray) -> np.ndarray:
    """Return the objective at rows of coordinates, shape (points,)."""
    objective = space.objective
    values = values_at(objective)
    if values is not None:
        with np.errstate(all="ignore"):
            return values(points) if len(points) else np.empty(0)
    with precision(objective.precision):
        return np.asarray(program(space, _heights)(points, objective.data), dtype=float)


def _heights(layout: RowLayout) -> Any:
    """Compile `(rows, data) → values` over many points."""

    def at(row: Any, data: Columns) -> Any:
        return layout.value(row, data)

    return jax().jit(jax().vmap(at, in_axes=(0, None)))


def _groups(units: np.ndarray, values: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Return groups of indices of points that lie together, the lowest of each first, and the indices of the rest.

    Each group is all points near the lowest one that is left, at most `_MOST` groups in all.
    """
    return _together(units, np.argsort(values, kind="stable"), _MOST)


@dataclass(frozen=True, eq=False)
class EndGroups:
    """The ends of some of many descents, grouped where they were reached.

    Args:
        points: the lowest end of each group, shape (groups, size); behind them ends without a finite value, of which
            some may be poles.
        counts: how many ended there, shape (groups,).
        group: the group of each end; −1 for an end that is in none, −2 for one of the rest.
        rest: how many are in no group, as there are a thousand lower ones.
        lowest_of_rest: the lowest of these, shape (1, size), or (0, size).
        lost: how many met a value that is not finite, or were unbounded.
        away: how many of them were unbounded.
    """

    points: np.ndarray
    counts: np.ndarray
    group: np.ndarray
    rest: int
    lowest_of_rest: np.ndarray
    lost: int
    away: int


def grouped(space: Space, ends: np.ndarray) -> EndGroups:
    """Return ends as groups, of which a few are sent where many ends would have to be."""
    values = heights(space, ends)
    with np.errstate(all="ignore"):
        units = (ends - space.origin) / space.extent
        inside = np.all(np.abs(units) < _AWAY, axis=1)
        finite = inside & np.isfinite(values)
        ended = np.flatnonzero(finite)
        groups, rest = _groups(units[ended], values[ended])
        suspects, _ = _together(units, np.flatnonzero(inside & ~finite), _SUSPECTS)
    members = [*(ended[group] for group in groups), *suspects]
    group = np.full(len(ends), -1)
    for position, together in enumerate(members):
        group[together] = position
    group[ended[rest]] = -2
    first = [together[0] for together in members]
    counts = np.array([len(together) for together in members], dtype=int)
    others = ends[ended[rest[:1]]]
    return EndGroups(ends[first], counts, group, len(rest), others, int(np.sum(~finite)), int(np.sum(~inside)))


def joined(space: Space, parts: Sequence[EndGroups], total: int) -> tuple[tuple[Basin, ...], list[np.ndarray]]:
    """Group what parts of many descents ended in into basins.

    Args:
        space: the box or cloud.
        parts: the groups of each part.
        total: how many descents there were.

    Returns:
        The basins, the lowest first, and for each part the index of the basin of its groups, then those of an end in
        the rest and in none.
    """
    points, counts = (np.concatenate([getattr(part, name) for part in parts]) for name in ("points", "counts"))
    basins, index = gathered(space, points, counts=counts, total=total)
    rest = sum(part.rest for part in parts)
    if rest:
        lowest = np.concatenate([part.lowest_of_rest for part in parts])
        values = heights(space, lowest)
        if basins and basins[-1].kind == OTHER:
            basins, last = basins[:-1], basins[-1]
            rest += last.count
        point = _plain(space.layout, lowest[np.argmin(values)])
        basins = (*basins, Basin(point, float(values.min()), OTHER, rest, rest / total))
    pieces = np.split(index, np.cumsum([len(part.points) for part in parts])[:-1])
    return basins, [np.append(piece, [len(basins) - 1, -1]) for piece in pieces]


def _bottoms(space: Space, points: np.ndarray, along_creases: bool) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Move points to their bottoms, by Newton's method and along creases; return them with their kinds and values."""
    points, *derivatives = _newton(space, points)
    if along_creases and (creases := Creases(space)):
        lowest = np.argsort(derivatives[0], kind="stable")[:_SUSPECTS]
        points = np.array(points)
        points[lowest] = [creases.lowered(point) for point in points[lowest]]
        derivatives = list(_slopes(space, points))
    return points, *_judged(space, points, *derivatives)


def _newton(space: Space, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return points after Newton's steps, with values, gradients and Hessians."""
    value, gradient, hessian = _slopes(space, points)
    for _ in range(_NEWTON):
        held = _held(space, points, gradient)
        moved = np.clip(points + _newton_steps(space, gradient, hessian, held), space.low, space.high)
        reached = _slopes(space, moved)
        flatter = _steepness(space, reached[1], held) < _steepness(space, gradient, held)
        near = np.all(np.abs(moved - points) <= _REACH * space.extent, axis=1)
        # Newton's method finds any stationary point. A step is kept only if it stays near, makes the gradient smaller
        # and does not go up, so that a minimum is never traded for a saddle.
        good = flatter & near & (reached[0] <= value + 1e-12 * np.abs(value) + 1e-300)
        points = np.where(good[:, None], moved, points)
        value, gradient, hessian = (
            np.where(good.reshape(-1, *[1] * (new.ndim - 1)), new, old)
            for new, old in zip(reached, (value, gradient, hessian), strict=True)
        )
    return points, value, gradient, hessian


def _judged(
    space: Space, points: np.ndarray, value: np.ndarray, gradient: np.ndarray, hessian: np.ndarray
) -> tuple[list[str], np.ndarray]:
    """Return the kinds of points and their values."""
    rise = relief(space)
    kinds = [_kind(space, rise, *point) for point in zip(points, value, gradient, hessian, strict=True)]
    # The derivative on the tip of |x| is taken as 0, so that a kink may look flat; in a gap, where the formula is 0/0,
    # curvatures are rounding. Values around decide.
    for index in np.flatnonzero(np.isin(kinds, ("not at rest", "flat", "saddle", "maximum"))):
        at_rest = kinds[index] != "not at rest"
        if at_rest and not _rises_clearly(space, points[index], value[index]):
            continue
        if _is_lowest_about(space, points[index], value[index], gradient[index], hessian[index]):
            kinds[index] = "minimum"
    for index in np.argsort(value, kind="stable")[:_SUSPECTS]:
        if kinds[index] in ("minimum", "not at rest") and is_pole(space, points[index]):
            kinds[index] = "pole"
    return kinds, value


def _rises_clearly(space: Space, point: np.ndarray, value: float) -> bool:
    """Tell whether the value rises along every axis, by far more than rounding changes it."""
    ways = np.concatenate([np.eye(space.size), -np.eye(space.size)]) * space.extent
    rises, noise = (heights(space, point + far * ways) - value for far in (_BESIDE[0], _ROUNDING))
    return bool(np.all(rises > 10 * np.abs(noise)))


def is_pole(space: Space, point: np.ndarray) -> bool:
    """Tell whether the value falls without bound towards a point: by no less in each decade of the distance.

    Towards a smooth bottom it falls by a hundredth of the fall before, towards a kink by a tenth.
    """
    with np.errstate(all="ignore"):
        around = _approach(space, point)
        falls = -np.diff(around, axis=0)
        lasts = np.all(falls[1:] >= _LASTING * falls[:-1], axis=0) & (falls[-1] > 0)
        # What is gained must matter beside the values themselves, which rounding changes as well.
        grows = np.sum(falls, axis=0) > 1e-3 * np.abs(around[0])
    return bool(np.any(lasts & grows))


def _approach(space: Space, point: np.ndarray) -> np.ndarray:
    """Return the values along the axes at shrinking distances from a point, shape (distances, ways)."""
    ways = np.concatenate([np.eye(space.size), -np.eye(space.size)]) * space.extent
    rows = point + (_DECADES[:, None, None] * ways).reshape(-1, space.size)
    return np.reshape(heights(space, rows), (len(_DECADES), -1))


def _is_lowest_about(space: Space, point: np.ndarray, value: float, gradient: np.ndarray, hessian: np.ndarray) -> bool:
    """Return whether all points around a point are higher.

    At a kink such as that of |x| the gradient does not vanish, so only values can tell. On a smooth slope a direction
    of the sample goes down: along the gradient, or along an eigenvector of small curvature.
    """
    bend = np.nan_to_num(hessian * np.outer(space.extent, space.extent))
    downhill = np.nan_to_num(-gradient * space.extent)
    length = np.linalg.norm(downhill)
    directions = np.vstack(
        [
            np.linalg.eigh(bend)[1].T,
            np.eye(space.size),
            downhill / (length if length > 0 else 1.0),
            np.random.default_rng(0).normal(size=(_ABOUT, space.size)) / np.sqrt(space.size),
        ]
    )
    steps = np.concatenate([directions, -directions])
    steps = steps[np.any(steps != 0, axis=1)]
    for far in _BESIDE:
        around = np.clip(point + far * steps * space.extent, space.low, space.high)
        around = around[np.any(around != point, axis=1)]
        if not np.all(heights(space, around) > value):
            return False
    return True


def _slopes(space: Space, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return values, gradients and Hessians; compiled in a batch padded to a power of two, so for few shapes."""
    objective, goal = space.objective, numeric_objective(space)
    if goal is not None:
        with np.errstate(all="ignore"):
            return goal.second_order(points)
    room = 1 << max(len(points) - 1, 0).bit_length()
    padded = np.concatenate([points, np.repeat(points[-1:], room - len(points), axis=0)])
    with precision(objective.precision):
        derived = jax().device_get(program(space, derivatives)(padded, objective.data))
    return tuple(np.asarray(array, dtype=float)[: len(points)] for array in derived)  # type: ignore[return-value]


def _held(space: Space, points: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Return which coordinates lie on a bound that the gradient pushes them against, shape (points, size)."""
    near = 1e-12 * space.extent
    return ((points <= space.low + near) & (gradient > 0)) | ((points >= space.high - near) & (gradient < 0))


def _newton_steps(space: Space, gradient: np.ndarray, hessian: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Return the Newton step of each point in the coordinates that are not held; 0 where the Hessian is singular."""
    steps = np.zeros_like(gradient)
    for index, free in enumerate(~held):
        try:
            steps[index, free] = -np.linalg.solve(hessian[index][np.ix_(free, free)], gradient[index, free])
        except np.linalg.LinAlgError:
            continue
    return np.where(np.isfinite(steps), steps, 0.0)


def _steepness(space: Space, gradient: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Return the norm of each gradient in units of the extent, over the coordinates that are not held."""
    return np.linalg.norm(np.where(held, 0.0, gradient * space.extent), axis=1)


def _kind(space: Space, rise: float, point: np.ndarray, value: float, gradient: np.ndarray, hessian: np.ndarray) -> str:
    """Return the kind of a point: minimum, saddle, maximum, flat, edge or not at rest."""
    held = _held(space, point[None], gradient[None])[0]
    if held.all():
        return "edge"
    slope = (gradient * space.extent)[~held]
    bend = (hessian * np.outer(space.extent, space.extent))[np.ix_(~held, ~held)]
    if not (np.all(np.isfinite(slope)) and np.all(np.isfinite(bend))):
        return "not at rest"
    curvatures, directions = np.linalg.eigh(bend)
    # Rounding leaves eigenvalues of about ε times the largest; the other two terms hold where all are 0.
    none = max(_FLAT * float(np.abs(curvatures).max()), _FLAT_OF_RELIEF * rise, np.finfo(float).tiny)
    # The decrease that a Newton step with |H| predicts, gᵀ|H|⁻¹g/2, has the unit of the objective: unlike a norm of the
    # gradient it can be held against the relief, however narrow the basin is.
    along, sizes = directions.T @ slope, np.maximum(np.abs(curvatures), none)
    predicted = float(np.sum(along**2 / sizes)) / 2
    if predicted > _STEEP * rise + _STEEP_OF_VALUE * abs(value):
        return "not at rest"
    if held.any():
        return "edge"
    # On a saturated tail, slope and curvature promise a flat point that is not there; rounding hides both in the value.
    curvatures[(np.abs(curvatures) <= _ROUNDINGS * abs(value)) & (np.abs(along) > _NEAR_FLAT * sizes)] = 0.0
    if curvatures.min() > none:
        return "minimum"
    if curvatures.max() < -none:
        return "maximum"
    return "saddle" if curvatures.min() < -none else "flat"


def _plain(layout: RowLayout, row: np.ndarray) -> Point:
    """Convert a row to a point, with plain floats where its numbers have names."""
    if layout.shape is None:
        return {name: float(number) for name, number in zip(layout.names, row, strict=True)}
    return layout.point(row)


def shown_row(space: Space, basin: Basin) -> np.ndarray:
    """Return the coordinates of a bottom as a row, with those that are 0 within rounding set to 0."""
    row = space.layout.row(basin.point)
    if basin.kind == "pole":  # where a descent met it, to as many digits as tell it
        row = space.extent * np.round(row / space.extent, 6)
    return np.where(np.abs(row) < 1e-12 * space.extent, 0.0, row)


def point_in_words(names: Sequence[str], row: np.ndarray) -> str:
    """Format a point: x = −1.473, y = 2."""
    shown = [f"{name} = {number(part)}" for name, part in zip(names, row, strict=True)]
    return ", ".join(shown[:_MOST_COLUMNS]) + (", …" if len(shown) > _MOST_COLUMNS else "")
