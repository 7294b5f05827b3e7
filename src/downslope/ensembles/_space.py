"""The region to explore: points as rows of numbers, and the box or cloud that starts are drawn from."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope import _tree
from downslope._engine import jax, kept
from downslope._errors import PointError, described, unknown_variable
from downslope._numbers import real
from downslope._text import own_names
from downslope._types import Columns, Point
from downslope.descent import NumericObjective, Objective, check_point, obstacle


@dataclass(frozen=True)
class RowLayout:
    """The conversion between the points of an objective and rows of numbers.

    It holds the objective's function and not the objective, so that a cached program keeps no table alive.

    Args:
        function: the value of a point given the data, `function(point, data)`.
        names: a name for every number.
        shape: the tree structure and the leaf shapes of a point; None for a mapping from names to numbers.
    """

    function: Callable[[Point, Columns], Any]
    names: tuple[str, ...]
    shape: tuple[Any, tuple[tuple[int, ...], ...]] | None = None

    def point(self, row: Any) -> Point:
        """Convert a row to a point."""
        if self.shape is None:
            return {name: row[index] for index, name in enumerate(self.names)}
        tree, shapes = self.shape
        leaves, first = [], 0
        for shape in shapes:
            size = math.prod(shape)
            leaves.append(row[first : first + size].reshape(shape))
            first += size
        return jax().tree.unflatten(tree, leaves)

    def row(self, point: Point) -> np.ndarray:
        """Convert a point to a row, shape (size,)."""
        return np.concatenate([np.ravel(np.asarray(leaf, float)) for leaf in self.ordered(point)])

    def ordered(self, point: Point) -> Any:
        """Return the leaves of a point in the order of a row."""
        if self.shape is None:
            return [point[name] for name in self.names]
        return jax().tree.leaves(point)

    def value(self, row: Any, data: Columns) -> Any:
        """Return the objective at a row, as a JAX expression."""
        return self.function(self.point(row), data)


@dataclass(frozen=True, eq=False)
class Space:
    """A box of bounds, or an unbounded cloud of starting points.

    Args:
        objective: the objective on it.
        layout: the conversion between points and rows.
        origin: shape (size,), the lower corner of the box, or the centre of the cloud.
        extent: shape (size,), the sides of the box, or the standard deviations of the cloud.
        bounded: whether it is a box.
    """

    objective: Objective
    layout: RowLayout
    origin: np.ndarray
    extent: np.ndarray
    bounded: bool

    @property
    def size(self) -> int:
        """The number of coordinates."""
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
        """Return starts, shape (count, size): quasi-random in a box, normal in a cloud."""
        return self.drawn_of(range(count), count, seed)

    def drawn_of(self, numbers: range, count: int, seed: int) -> np.ndarray:
        """Return some of the starts of `drawn`, computed independently of the others, shape (numbers, size)."""
        first, last = numbers.start, numbers.stop
        if self.bounded:
            return self.origin + self.extent * even(last - first, self.size, seed, first)
        blocks = range(first // _DRAWN, -(-last // _DRAWN))
        drawn = np.concatenate(
            [_normal(seed, block, min(_DRAWN, count - block * _DRAWN), self.size) for block in blocks]
        )
        begun = first - blocks.start * _DRAWN
        return self.origin + self.extent * drawn[begun : begun + last - first]


_DRAWN = 1 << 17  # starts of a cloud that one generator draws


@functools.lru_cache(maxsize=1)  # a worker draws its starts in order
def _normal(seed: int, block: int, rows: int, size: int) -> np.ndarray:
    """Return normal numbers, shape (rows, size)."""
    return np.random.default_rng((seed, block) if block else seed).normal(size=(rows, size))


def even(count: int, size: int, seed: int, first: int = 0) -> np.ndarray:
    """Return quasi-random points in the unit cube, shape (count, size), from the point `first` on.

    Point k is the fractional part of k·(1/φ, 1/φ², …) plus a random offset, with φ^(size + 1) = φ + 1. These multiples
    leave no large gaps and no clusters in any number of points, unlike independent ones and unlike a grid
    (Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018).
    """
    # The iteration φ ← (1 + φ)^(1/(size + 1)) contracts by less than 1/2 a step: 64 steps reach the last bit.
    ratio = 2.0
    for _ in range(64):
        ratio = (1 + ratio) ** (1 / (size + 1))
    multiples = np.outer(np.arange(first + 1, first + count + 1), ratio ** -np.arange(1.0, size + 1))
    return (np.random.default_rng(seed).random(size) + multiples) % 1.0


def space_of(objective: Objective, bounds: Any, spread: Any = None, centre: Point | None = None) -> Space:
    """Check where to look and return it.

    Args:
        objective: the objective.
        bounds: (low, high) of every variable by name; for a function of arbitrary points, a pair of points (low, high).
        spread: instead of bounds, the standard deviation about the centre: a number, or numbers by name.
        centre: the centre of the cloud; 0 if None.

    Raises:
        PointError: if neither or both of bounds and spread are passed, a variable is missing or unknown, or a range is
            empty.
    """
    if (bounds is None) == (spread is None):
        raise PointError(
            "give bounds or a spread" if bounds is None else "give bounds or a spread, not both",
            hint="for example bounds={'x': (-3, 3)}",
        )
    if bounds is not None:
        layout, low, high = _ends(objective, bounds)
        if not np.all(low < high):
            first = int(np.flatnonzero(~(low < high))[0])
            raise PointError(
                f"the lower bound of {layout.names[first]}, {low[first]}, is not below the upper one, {high[first]}"
            )
        return Space(objective, layout, low, high - low, True)
    if centre is not None:
        centre = check_point(objective, centre)
    layout = _layout_of(objective, centre)
    middle = np.zeros(len(layout.names)) if centre is None else layout.row(centre)
    return Space(objective, layout, middle, _deviations(objective, layout, spread), False)


def _ends(objective: Objective, bounds: Any) -> tuple[RowLayout, np.ndarray, np.ndarray]:
    """Return the layout of points, and both corners of a box as rows."""
    if objective.names is None:
        if not isinstance(bounds, tuple) or len(bounds) != 2:
            raise PointError(f"the bounds of {objective.name} are a pair of points (low, high)")
        corners = [check_point(objective, corner) for corner in bounds]
        layouts = [_layout_of(objective, corner) for corner in corners]
        if layouts[0].names != layouts[1].names:
            raise PointError(f"the corners of {objective.name}'s bounds are points of different shapes")
        return layouts[0], layouts[0].row(corners[0]), layouts[0].row(corners[1])
    if not isinstance(bounds, Mapping):
        pairs = list(bounds) if hasattr(bounds, "__len__") else []
        if len(objective.names) == 1 and len(pairs) == 2 and not hasattr(pairs[0], "__len__"):
            pairs = [pairs]
        if len(pairs) != len(objective.names):
            raise PointError(f"bounds are a (low, high) for each of {', '.join(objective.names)}")
        bounds = dict(zip(objective.names, pairs, strict=True))
    bounds = own_names(bounds, objective.names)
    _check_names(objective, bounds)
    missing = [name for name in objective.names if name not in bounds]
    if missing:
        raise PointError(f"the bounds lack {', '.join(missing)}", hint="every variable needs a (low, high)")
    low, high = (np.array([_end(name, bounds[name], index) for name in objective.names]) for index in (0, 1))
    return _layout_of(objective, None), low, high


def _end(name: str, pair: Any, index: int) -> float:
    """Return one bound of a variable as a float."""
    try:
        number = real(pair[index]) if len(pair) == 2 else math.nan
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise PointError(f"the bounds of {name} are two finite numbers (low, high), not {described(pair)}")
    return number


def _deviations(objective: Objective, layout: RowLayout, spread: Any) -> np.ndarray:
    """Return the standard deviation of each coordinate."""
    deviations: Any
    if isinstance(spread, Mapping):
        spread = own_names(spread, layout.names)
        _check_names(objective, spread)
        deviations = [spread.get(name, math.nan) for name in layout.names]
    else:
        deviations = [spread] * len(layout.names)
    try:
        deviations = np.array([real(deviation) for deviation in deviations])
    except (TypeError, ValueError, OverflowError):
        raise PointError(f"a spread is a number, or a number by name, not {described(spread)}") from None
    if not np.all((deviations > 0) & np.isfinite(deviations)):
        raise PointError("every variable needs a spread above 0")
    return deviations


def _check_names(objective: Objective, values: Mapping[str, Any]) -> None:
    """Raise for a name that is not a variable."""
    names = objective.names or ()
    for name in values:
        if name not in names:
            raise unknown_variable(objective.read_as, name, names)


def _layout_of(objective: Objective, like: Point | None) -> RowLayout:
    """Return the layout of the points of an objective; `like` is one of them, for a function of arbitrary points."""
    if objective.names is not None:
        return RowLayout(objective.function, objective.names)
    if like is None:
        hint = "give a centre, or bounds as a pair of points"
        raise PointError(f"{objective.name} takes points of any shape", hint=hint)
    leaves, tree = jax().tree.flatten(like)
    return RowLayout(objective.function, _tree.coordinate_names(like), (tree, tuple(np.shape(leaf) for leaf in leaves)))


def program(space: Space, build: Callable[..., Any], *structure: Any) -> Any:
    """Return `build(space.layout, *structure)`, a compiled program, built once for objectives of one structure."""
    key = (build, space.layout, *structure)
    return kept(space.objective.owner, key, functools.partial(build, space.layout, *structure))


Slopes = Callable[[Any], tuple[Any, Any]]  # values and gradients at rows: (rows, size) → (rows,), (rows, size)


def in_units(slopes: Slopes, origin: Any, extent: Any) -> Slopes:
    """Return values and gradients at points in units of an extent from an origin."""

    def at(units: Any) -> tuple[Any, Any]:
        value, gradient = slopes(origin + extent * units)
        return value, extent * gradient

    return at


def compiled_slopes(layout: RowLayout, data: Columns) -> Slopes:
    """Return values and gradients at many rows, as JAX expressions."""
    return jax().vmap(jax().value_and_grad(lambda row: layout.value(row, data)))


def numeric_objective(space: Space) -> NumericObjective | None:
    """Return the objective in NumPy, over rows; None for one that only JAX differentiates."""
    goal = space.objective
    if obstacle(goal) is not None:
        return None
    assert goal.formula is not None
    return NumericObjective(goal.formula, goal.data, space.layout.names)


def derivatives(layout: RowLayout) -> Any:
    """Compile `(rows, data) → (values, gradients, Hessians)` over many points."""

    def at(row: Any, data: Columns) -> tuple[Any, Any, Any]:
        value, gradient = jax().value_and_grad(layout.value)(row, data)
        return value, gradient, jax().hessian(layout.value)(row, data)

    return jax().jit(jax().vmap(at, in_axes=(0, None)))
