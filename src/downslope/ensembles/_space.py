"""Where to look: the coordinates of an objective as rows of numbers, and the box or cloud that starts come from."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope import _tree
from downslope._engine import jax
from downslope._errors import PointError, nearest
from downslope._types import Columns, Point
from downslope.descent import Objective, check_point


@dataclass(frozen=True)
class RowLayout:
    """How the points of an objective stand in rows of numbers.

    Args:
        objective: the objective.
        names: a name for every number.
        shape: the structure and the shapes of a point that is no plain mapping of names; else None.
    """

    objective: Objective
    names: tuple[str, ...]
    shape: tuple[Any, tuple[tuple[int, ...], ...]] | None = None

    def point(self, row: Any) -> Point:
        """Return the point that a row is."""
        if self.shape is None:
            return {name: row[place] for place, name in enumerate(self.names)}
        tree, shapes = self.shape
        leaves, place = [], 0
        for shape in shapes:
            size = math.prod(shape)
            leaves.append(row[place : place + size].reshape(shape))
            place += size
        return jax().tree.unflatten(tree, leaves)

    def row(self, point: Point) -> np.ndarray:
        """Return the row that a point is."""
        return np.concatenate([np.ravel(np.asarray(leaf, float)) for leaf in self.ordered(point)])

    def ordered(self, point: Point) -> Any:
        """Return the leaves of a point in the order of a row."""
        if self.shape is None:
            return [point[name] for name in self.names]
        return jax().tree.leaves(point)

    def value(self, row: Any, data: Columns) -> Any:
        """Return the objective at a row, as JAX traces it."""
        return self.objective.function(self.point(row), data)


@dataclass(frozen=True, eq=False)
class Space:
    """Where to look.

    Args:
        layout: the coordinates.
        origin: shape (size,), the lower corner of the box, or the centre of the cloud.
        extent: shape (size,), the sides of the box, or the standard deviations of the cloud.
        bounded: whether it is a box that points must not leave.
    """

    layout: RowLayout
    origin: np.ndarray
    extent: np.ndarray
    bounded: bool

    @property
    def size(self) -> int:
        """How many coordinates there are."""
        return len(self.origin)

    @property
    def low(self) -> np.ndarray:
        """The lowest value of each coordinate, shape (size,)."""
        return self.origin if self.bounded else np.full(self.size, -np.inf)

    @property
    def high(self) -> np.ndarray:
        """The highest value of each coordinate, shape (size,)."""
        return self.origin + self.extent if self.bounded else np.full(self.size, np.inf)

    @property
    def unit_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """The bounds in units of the extent from the origin."""
        end = 0.0 if self.bounded else -np.inf
        return np.full(self.size, end), np.full(self.size, 1.0 - end)

    def drawn(self, count: int, seed: int) -> np.ndarray:
        """Return starts, shape (count, size): evenly scattered in a box, normal in a cloud."""
        if self.bounded:
            return self.origin + self.extent * even(count, self.size, seed)
        return self.origin + self.extent * np.random.default_rng(seed).normal(size=(count, self.size))


def even(count: int, size: int, seed: int) -> np.ndarray:
    """Return points evenly scattered in the unit cube, shape (count, size).

    They are multiples of powers of 1/φ, φ^(size + 1) = φ + 1, from a random place on, without their whole parts: no two
    lie close together (Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018).
    """
    ratio = 2.0
    for _ in range(64):
        ratio = (1 + ratio) ** (1 / (size + 1))
    multiples = np.outer(np.arange(1, count + 1), ratio ** -np.arange(1.0, size + 1))
    return (np.random.default_rng(seed).random(size) + multiples) % 1.0


def space_of(made: Objective, bounds: Any, spread: Any = None, centre: Point | None = None) -> Space:
    """Return where to look, checked.

    Args:
        made: the objective.
        bounds: (low, high) of every variable by name; for a function of any point, a pair of points (low, high).
        spread: instead of bounds, the standard deviation about the centre: a number, or numbers by name.
        centre: the middle of the cloud; 0 if None.

    Raises:
        PointError: if neither or both are given, a variable is missing or unknown, or a range is none.
    """
    if (bounds is None) == (spread is None):
        raise PointError(
            "where to look? give bounds or a spread" if bounds is None else "give bounds or a spread, not both",
            hint="for example bounds={'x': (-3, 3)}",
        )
    if bounds is not None:
        layout, low, high = _ends(made, bounds)
        if not np.all(low < high):
            place = int(np.flatnonzero(~(low < high))[0])
            raise PointError(f"the bounds of {layout.names[place]} go from {low[place]} to {high[place]}: no range")
        return Space(layout, low, high - low, True)
    if centre is not None:
        centre = check_point(made, centre)
    layout = _layout_of(made, centre)
    middle = np.zeros(len(layout.names)) if centre is None else layout.row(centre)
    return Space(layout, middle, _deviations(layout, spread), False)


def _ends(made: Objective, bounds: Any) -> tuple[RowLayout, np.ndarray, np.ndarray]:
    """Return the rows and both corners of a box."""
    if made.names is None:
        if not isinstance(bounds, tuple) or len(bounds) != 2:
            raise PointError(f"the bounds of {made.name} are a pair of points (low, high)")
        corners = [check_point(made, corner) for corner in bounds]
        layouts = [_layout_of(made, corner) for corner in corners]
        if layouts[0].names != layouts[1].names:
            raise PointError(f"the corners of {made.name}'s bounds are points of different shapes")
        return layouts[0], layouts[0].row(corners[0]), layouts[0].row(corners[1])
    if not isinstance(bounds, Mapping):
        pairs = list(bounds) if hasattr(bounds, "__len__") else []
        if len(made.names) == 1 and len(pairs) == 2 and not hasattr(pairs[0], "__len__"):
            pairs = [pairs]
        if len(pairs) != len(made.names):
            raise PointError(f"bounds are a (low, high) for each of {', '.join(made.names)}")
        bounds = dict(zip(made.names, pairs, strict=True))
    _check_names(made, bounds)
    missing = [name for name in made.names if name not in bounds]
    if missing:
        raise PointError(f"the bounds say nothing of {', '.join(missing)}", hint="every variable needs a range")
    low, high = (np.array([_end(name, bounds[name], place) for name in made.names]) for place in (0, 1))
    return _layout_of(made, None), low, high


def _end(name: str, pair: Any, place: int) -> float:
    """Return an end of a range."""
    try:
        number = float(pair[place]) if len(pair) == 2 else math.nan
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise PointError(f"the bounds of {name} are two finite numbers (low, high), not {pair!r}")
    return number


def _deviations(layout: RowLayout, spread: Any) -> np.ndarray:
    """Return the standard deviation of each coordinate."""
    if isinstance(spread, Mapping):
        _check_names(layout.objective, spread)
        given = [spread.get(name, math.nan) for name in layout.names]
    else:
        given = [spread] * len(layout.names)
    try:
        deviations = np.array(given, dtype=float)
    except (TypeError, ValueError):
        raise PointError(f"a spread is a number, or a number by name, not {spread!r}") from None
    if not np.all((deviations > 0) & np.isfinite(deviations)):
        raise PointError("every variable needs a spread above 0")
    return deviations


def _check_names(made: Objective, given: Mapping[str, Any]) -> None:
    """Raise for a name that is no variable."""
    names = made.names or ()
    for name in given:
        if name not in names:
            close = nearest(str(name), names)
            raise PointError(
                f"{made.read_as} has no variable {name!r}; it has {', '.join(names)}",
                hint=f"did you mean {close}?" if close else None,
            )


def _layout_of(made: Objective, like: Point | None) -> RowLayout:
    """Return how the points of an objective stand in rows."""
    if made.names is not None:
        return RowLayout(made, made.names)
    if like is None:
        raise PointError(f"{made.name} takes any point", hint="give a centre, or bounds as a pair of points")
    leaves, tree = jax().tree.flatten(like)
    return RowLayout(made, _tree.coordinate_names(like), (tree, tuple(np.shape(leaf) for leaf in leaves)))


@functools.lru_cache(maxsize=64)
def slopes_at(layout: RowLayout) -> Any:
    """Return the compiled program `(rows, data) → (values, gradients, Hessians)` at many points."""

    def at(row: Any, data: Columns) -> tuple[Any, Any, Any]:
        value, gradient = jax().value_and_grad(layout.value)(row, data)
        return value, gradient, jax().hessian(layout.value)(row, data)

    return jax().jit(jax().vmap(at, in_axes=(0, None)))
