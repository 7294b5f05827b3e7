"""Valleys: end points gathered by where they lie, each valley with its bottom, its kind and its share of the starts."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope._engine import jax, precision
from downslope._text import number
from downslope._types import Columns, Point
from downslope.ensembles._space import RowLayout, Space, slopes_at

_SAME = 1e-4  # of the extent: end points nearer to each other lie in one valley
_MOST_COLUMNS = 6
_MOST = 1000  # places that are told apart
_AWAY = 1e6  # extents from the origin: a descent that went so far has no end
_NEWTON = 4  # steps to the very bottom
_REACH = 0.01  # of the extent, the farthest that one of them goes: no way into another valley
_SAMPLED = 1024  # points that tell how rugged the ground is
_LEVEL, _LEVEL_OF_VALUE = 1e-10, 1e-9  # of the relief and of the value: two valleys nearer in value are of one depth
_STEEP, _STEEP_OF_VALUE = 1e-12, 1e-10  # likewise what Newton's step may still foretell at a bottom
_FLAT, _FLAT_OF_RELIEF = 1e-8, 1e-10  # of the largest curvature and of the relief: less is none
_BESIDE = (1e-6, 1e-8)  # of the extent: a kink is a minimum if everything about it, so far away, is higher
_ABOUT = 8  # directions beside those of the curvature


@dataclass(frozen=True)
class Basin:
    """A place where descents end.

    Args:
        point: its bottom.
        value: the objective there.
        kind: "minimum" (smooth or at a kink), "saddle", "maximum", "flat", "edge" (the value falls on beyond the
            bounds) or "not at rest". All flat places of one value are one basin, and so are all descents that had not
            come to rest. After the thousand lowest places, all others are one basin of kind "other".
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
        return {
            "point": {name: np.asarray(leaf).tolist() for name, leaf in _named(self.point)},
            "value": self.value,
            "kind": self.kind,
            "count": self.count,
            "share": self.share,
        }


def gathered(space: Space, ends: np.ndarray) -> tuple[tuple[Basin, ...], np.ndarray]:
    """Return the basins, the lowest first, and the basin of each end point, shape (ends,).

    An end point that is not finite, or so far away that its descent has no end, lies in none: −1.

    Args:
        space: where the ends lie.
        ends: shape (ends, size).
    """
    values = heights(space, ends)
    index = np.full(len(ends), -1)
    with np.errstate(all="ignore"):
        units = (ends - space.origin) / space.extent
        here = np.flatnonzero(np.isfinite(values) & np.all(np.abs(units) < _AWAY, axis=1))
        if not len(here):
            return (), index
        groups, rest = _groups(units[here], values[here])
        bottoms, kinds, depths = _bottoms(space, ends[here[[members[0] for members in groups]]])
    basins = []
    for place, together in enumerate(_merged(space, bottoms, kinds, depths)):
        members = here[np.concatenate([groups[group] for group in together])]
        index[members] = place
        first = together[0]
        point = _plain(space.layout, bottoms[first])
        basins.append(Basin(point, float(depths[first]), kinds[first], len(members), len(members) / len(ends)))
    if len(rest):
        index[here[rest]] = len(basins)
        point = _plain(space.layout, ends[here[rest[0]]])
        basins.append(Basin(point, float(values[here[rest[0]]]), "other", len(rest), len(rest) / len(ends)))
    return tuple(basins), index


@functools.lru_cache(maxsize=8)
def relief(space: Space) -> float:
    """Return how far the ground rises above its lowest, over most of a sample of points: what is small beside it is 0.

    The lower tenth is asked, as a steep function rises without measure towards the corners of its box.
    """
    found = heights(space, space.drawn(_SAMPLED, 0))
    found = found[np.isfinite(found)]
    return float(np.quantile(found, 0.1) - found.min()) if len(found) else 0.0


def level(one: float, other: float, rise: float) -> bool:
    """Tell whether two values are the same as far as descents can tell.

    Args:
        one: a value.
        other: another.
        rise: the relief of the ground.
    """
    return abs(one - other) <= _LEVEL * rise + _LEVEL_OF_VALUE * max(abs(one), abs(other))


def _merged(space: Space, bottoms: np.ndarray, kinds: Sequence[str], depths: np.ndarray) -> list[list[int]]:
    """Return the groups that are one basin: with one bottom, flat at one value, or not at rest; the lowest first."""
    rise = relief(space)
    units = (bottoms - space.origin) / space.extent
    found: list[list[int]] = []
    of_kind: dict[str, list[list[int]]] = {}
    for group in map(int, np.argsort(depths, kind="stable")):
        alike = of_kind.setdefault(kinds[group], [])
        firsts = [one[0] for one in alike]
        same = np.all(np.abs(units[firsts] - units[group]) <= _SAME, axis=1)
        if kinds[group] == "flat":
            same |= np.array([level(depths[first], depths[group], rise) for first in firsts], dtype=bool)
        elif kinds[group] == "not at rest":
            same[:] = True
        if same.any():
            alike[int(np.argmax(same))].append(group)
        else:
            alike.append([group])
            found.append(alike[-1])
    return found


def heights(space: Space, points: np.ndarray) -> np.ndarray:
    """Return the objective at some points, shape (points,)."""
    made = space.layout.objective
    with precision(made.precision):
        return np.asarray(_heights(space.layout)(points, made.data), dtype=float)


@functools.lru_cache(maxsize=64)
def _heights(layout: RowLayout) -> Any:
    """Return the compiled program `(points, data) → values`."""

    def at(row: Any, data: Columns) -> Any:
        return layout.value(row, data)

    return jax().jit(jax().vmap(at, in_axes=(0, None)))


def _groups(units: np.ndarray, values: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the places of points that lie together, each group about its lowest, which comes first; and the rest."""
    left = np.argsort(values, kind="stable")
    groups = []
    while len(left) and len(groups) < _MOST:
        near = np.all(np.abs(units[left] - units[left[0]]) <= _SAME, axis=1)
        groups.append(left[near])
        left = left[~near]
    return groups, left


def _bottoms(space: Space, points: np.ndarray) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Return the points moved to the very bottom by Newton's method where it goes down, their kinds and values."""
    value, gradient, hessian = _slopes(space, points)
    for _ in range(_NEWTON):
        held = _held(space, points, gradient)
        moved = np.clip(points + _newton_steps(space, gradient, hessian, held), space.low, space.high)
        reached = _slopes(space, moved)
        flatter = _steepness(space, reached[1], held) < _steepness(space, gradient, held)
        near = np.all(np.abs(moved - points) <= _REACH * space.extent, axis=1)
        good = flatter & near & (reached[0] <= value + 1e-12 * np.abs(value) + 1e-300)
        points = np.where(good[:, None], moved, points)
        value, gradient, hessian = (
            np.where(good.reshape(-1, *[1] * (new.ndim - 1)), new, old)
            for new, old in zip(reached, (value, gradient, hessian), strict=True)
        )
    rise = relief(space)
    kinds = [_kind(space, rise, *one) for one in zip(points, value, gradient, hessian, strict=True)]
    for place in np.flatnonzero(np.array(kinds) == "not at rest"):
        if _is_lowest_about(space, points[place], value[place], gradient[place], hessian[place]):
            kinds[place] = "minimum"
    return points, kinds, value


def _is_lowest_about(space: Space, point: np.ndarray, value: float, gradient: np.ndarray, hessian: np.ndarray) -> bool:
    """Tell whether everything about a point is higher, as about a kink, where the gradient never vanishes.

    On a smooth slope the way along the gradient, or along a direction in which the ground hardly curves, goes down.
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
    """Return values, gradients and Hessians, in a batch padded to a power of two so that few sizes are compiled."""
    made = space.layout.objective
    room = 1 << max(len(points) - 1, 0).bit_length()
    padded = np.concatenate([points, np.repeat(points[-1:], room - len(points), axis=0)])
    with precision(made.precision):
        found = jax().device_get(slopes_at(space.layout)(padded, made.data))
    return tuple(np.asarray(array, dtype=float)[: len(points)] for array in found)  # type: ignore[return-value]


def _held(space: Space, points: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Tell of each coordinate whether it lies on a bound that the gradient pushes it against."""
    near = 1e-12 * space.extent
    return ((points <= space.low + near) & (gradient > 0)) | ((points >= space.high - near) & (gradient < 0))


def _newton_steps(space: Space, gradient: np.ndarray, hessian: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Return Newton's step of each point along the coordinates that are not held, 0 where there is none."""
    steps = np.zeros_like(gradient)
    for place, free in enumerate(~held):
        try:
            steps[place, free] = -np.linalg.solve(hessian[place][np.ix_(free, free)], gradient[place, free])
        except np.linalg.LinAlgError:
            continue
    return np.where(np.isfinite(steps), steps, 0.0)


def _steepness(space: Space, gradient: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Return the length of each gradient in units of the extent, without what is held."""
    return np.linalg.norm(np.where(held, 0.0, gradient * space.extent), axis=1)


def _kind(space: Space, rise: float, point: np.ndarray, value: float, gradient: np.ndarray, hessian: np.ndarray) -> str:
    """Return what kind of place a point is, on ground of some relief."""
    held = _held(space, point[None], gradient[None])[0]
    if held.all():
        return "edge"
    slope = (gradient * space.extent)[~held]
    bend = (hessian * np.outer(space.extent, space.extent))[np.ix_(~held, ~held)]
    if not (np.all(np.isfinite(slope)) and np.all(np.isfinite(bend))):
        return "not at rest"
    curvatures, directions = np.linalg.eigh(bend)
    none = max(_FLAT * float(np.abs(curvatures).max()), _FLAT_OF_RELIEF * rise, np.finfo(float).tiny)
    foreseen = float(np.sum((directions.T @ slope) ** 2 / np.maximum(np.abs(curvatures), none))) / 2
    if foreseen > _STEEP * rise + _STEEP_OF_VALUE * abs(value):
        return "not at rest"
    if held.any():
        return "edge"
    if curvatures[0] > none:
        return "minimum"
    if curvatures[-1] < -none:
        return "maximum"
    return "saddle" if curvatures[0] < -none else "flat"


def _plain(layout: RowLayout, row: np.ndarray) -> Point:
    """Return the point that a row is, its numbers as floats where they have names."""
    if layout.shape is None:
        return {name: float(number) for name, number in zip(layout.names, row, strict=True)}
    return layout.point(row)


def _named(point: Point) -> Sequence[tuple[str, Any]]:
    """Return the parts of a point with their names."""
    from downslope import _tree

    return list(zip(_tree.part_names(point), _tree.leaves(point), strict=True))


def shown_row(space: Space, basin: Basin) -> np.ndarray:
    """Return the coordinates of a bottom, what is but rounding beside the extent as 0."""
    row = space.layout.row(basin.point)
    return np.where(np.abs(row) < 1e-12 * space.extent, 0.0, row)


def place_in_words(names: Sequence[str], row: np.ndarray) -> str:
    """Return a point as text: x = −1.473, y = 2."""
    shown = [f"{name} = {number(part)}" for name, part in zip(names, row, strict=True)]
    return ", ".join(shown[:_MOST_COLUMNS]) + (", …" if len(shown) > _MOST_COLUMNS else "")
