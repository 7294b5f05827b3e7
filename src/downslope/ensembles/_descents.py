"""Descents from many starts: by a method of `descend` at one rate, or by small steps and BFGS to the nearest minimum.

Both are written in the array interface. Compiled, starts are grouped into blocks whose state fits a core's cache; in
NumPy all of them take each step together. Tests for the end would cost more than steps of a small formula, so by a
method of `descend` a block runs a hundred steps and ends when none of its points moved in them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from downslope._arrays import JAX_ARRAYS, LANE_ARRAYS, NUMPY_ARRAYS, Arrays
from downslope._engine import jax
from downslope._types import Point
from downslope.descent import array_seconds, evaluation_seconds, step_seconds
from downslope.ensembles._lanes import Lanes, begin_lanes, chosen_lanes, on_device, step_lanes, wide
from downslope.ensembles._space import RowLayout, Slopes, Space, compiled_slopes, in_units, numeric_objective, program
from downslope.executors import Crew, Unit
from downslope.methods import Method, Rule, RuleInput, rule_of

_BLOCK = 200  # starts whose state fits a core's first-level cache; larger blocks are slower per start
_BLOCK_BYTES = 4 << 20  # for the inverse Hessians of a block
_FEWEST_BLOCKS, _SMALLEST_BLOCK = 8, 16  # few starts are so many blocks, which keep some cores busy
_PIECES, _MOST_BLOCKS = 64, 500  # units of work that starts are dealt out in; blocks of one: some seconds' work
_NUMPY_BLOCK = 1 << 14
_CHUNK = 100  # steps between two tests for the end
_STILL = 1e-15  # a relative change below it over a chunk is none
_FLOW = 200  # small steps along −∇f, which decide the basin
_FARTHEST = 0.02  # of the extent: the longest of these steps
_FINISH = 200  # steps of BFGS to the bottom, plus 20 per coordinate
_LANE_OPERATIONS, _RULE_OPERATIONS = 60, 15  # of NumPy in a step of BFGS and of a method, on arrays of all starts


class DescentEnds(NamedTuple):
    """The end points of many descents.

    Args:
        points: shape (starts, size).
        evaluations: number of evaluations of value and gradient.
    """

    points: np.ndarray
    evaluations: int


@dataclass(frozen=True, eq=False)
class DescentKind:
    """The kind of descent from many starts.

    Args:
        space: the box or cloud; points are kept inside a box.
        engine: "numpy" or "jax".
        method: a method of `descend`; None for small steps along −∇f, then BFGS.
        rate: the learning rate α, NaN for a method without one.
        steps: the maximum number of steps of the method.
    """

    space: Space
    engine: str
    method: Method | None = None
    rate: float = math.nan
    steps: int = 0

    def block(self, starts: int) -> int:
        """Return the number of starts that descend together.

        It depends on nothing but their number: a block ends together, so that its size can change the last bits.
        """
        if self.engine == "numpy":
            return _NUMPY_BLOCK
        room = _BLOCK_BYTES // (8 * self.space.size**2) if self.method is None else _BLOCK
        return int(np.clip(max(-(-starts // _FEWEST_BLOCKS), _SMALLEST_BLOCK), 1, min(max(room, 1), _BLOCK)))

    def piece(self, starts: int) -> int:
        """Return the number of starts in a unit of work: a whole number of blocks."""
        block = self.block(starts)
        if self.engine == "numpy":
            return block
        return block * int(np.clip(-(-starts // (block * _PIECES)), 1, _MOST_BLOCKS))

    def ends(self, starts: np.ndarray, block: int, blocks: int, number: int) -> DescentEnds:
        """Return where descents end that make a unit of work.

        Args:
            starts: shape (starts, size).
            block: how many go down together.
            blocks: how many blocks a unit has; the last ones of the last unit are filled with its last start.
            number: of the unit.
        """
        if self.method is None:
            return _to_the_bottom(self, starts, block, blocks, number)
        return _by_method(self, starts, block, blocks, number)


@dataclass(frozen=True, eq=False)
class ManyStarts:
    """Starts, and how descents from them go down; the subject of units of work, of which each draws its own.

    Args:
        kind: how they go down.
        count: how many.
        seed: what they are drawn with.
        points: the starts themselves, shape (count, size); None for those that the seed stands for.
    """

    kind: DescentKind
    count: int
    seed: int = 0
    points: np.ndarray | None = None

    @property
    def units(self) -> list[Unit]:
        """A unit of work for each piece."""
        return [Unit(_piece, self, (number,)) for number in range(-(-self.count // self.kind.piece(self.count)))]

    def starts(self, number: int) -> np.ndarray:
        """Return the starts of a piece."""
        piece = self.kind.piece(self.count)
        numbers = range(number * piece, min((number + 1) * piece, self.count))
        if self.points is not None:
            return self.points[numbers.start : numbers.stop]
        return self.kind.space.drawn_of(numbers, self.count, self.seed)

    def ends(self, starts: np.ndarray, number: int) -> DescentEnds:
        """Return where descents from the starts of a piece end."""
        block, piece = self.kind.block(self.count), self.kind.piece(self.count)
        return self.kind.ends(starts, block, piece // block, number)


def _piece(many: ManyStarts, number: int) -> DescentEnds:
    """Return the ends of a piece."""
    return many.ends(many.starts(number), number)


def ends_of(many: ManyStarts, crew: Crew) -> DescentEnds:
    """Return where all descents end, in the order of their starts."""
    ended = crew.results(many.units)
    return DescentEnds(np.concatenate([ends.points for ends in ended]), sum(ends.evaluations for ends in ended))


def _by_method(kind: DescentKind, starts: np.ndarray, block: int, blocks: int, number: int) -> DescentEnds:
    """Return where a method of `descend` ends from each start."""
    space, method = kind.space, kind.method
    assert method is not None
    objective = space.objective
    settings = {name: np.float64(number) for name, number in method.settings.items()} | {"seed": np.uint32(0)}
    if kind.engine == "numpy":
        return _by_method_in_numpy(space, starts, method, kind.rate, kind.steps, settings)
    bounds = (space.low, space.high) if space.bounded else None
    run = program(space, _compiled_method, method.structure, space.bounded)
    batch = _blocks(starts.astype(objective.precision), block, blocks)
    shared = (np.asarray(kind.rate, objective.precision), settings, np.int64(kind.steps), bounds, objective.data)
    points, taken = on_device(run, (batch, *shared), number, objective.precision)
    return DescentEnds(_rejoined(points)[: len(starts)].astype(float), int(np.sum(taken)) * block)


def _to_the_bottom(kind: DescentKind, starts: np.ndarray, block: int, blocks: int, number: int) -> DescentEnds:
    """Return the minimum of the basin that each start lies in: small steps along −∇f, then BFGS."""
    space = kind.space
    units = (starts - space.origin) / space.extent
    if kind.engine == "numpy":
        units, evaluations = _to_the_bottom_in_numpy(space, units)
    else:
        objective, unpadded = space.objective, len(units)
        shared = (space.origin, space.extent, space.unit_bounds, objective.data)
        batch = (_blocks(units, block, blocks), *shared)
        units, taken = on_device(program(space, _compiled_bottom), batch, number, objective.precision)
        units, evaluations = _rejoined(units)[:unpadded], int(np.sum(taken)) * block
    points = space.origin + space.extent * units
    if space.bounded:  # rounding must not carry a point on an edge over it
        points = np.where(units <= 0, space.low, np.where(units >= 1, space.high, points))
    return DescentEnds(points, evaluations)


def bottom_seconds(space: Space, starts: int) -> float:
    """Return about how long NumPy takes to the bottom from some starts."""
    lane = _LANE_OPERATIONS * array_seconds(starts * space.size**2)
    evaluations = _FLOW + (_FINISH + 20 * space.size) / 2
    return evaluations * (lane + evaluation_seconds(space.objective, starts))


def method_seconds(space: Space, starts: int, method: Method, steps: int) -> float:
    """Return about how long NumPy takes by a method of `descend` from some starts."""
    if _alone(method):
        return starts * steps * step_seconds(space.objective, method)
    return steps * (_RULE_OPERATIONS * array_seconds(starts * space.size) + evaluation_seconds(space.objective, starts))


# To the bottom.


def _settled(arrays: Arrays, at: Slopes, starts: Any, bounds: Any) -> tuple[Any, Any]:
    """Return where small steps along −∇f and BFGS lead from each start, and the evaluations of each."""
    # BFGS alone jumps: its first steps, and those along negative curvature, may cross into another basin. Steps of
    # at most 2 % of the extent that always go down keep to the basin that −∇f leads to.
    numpy, (lanes, size) = arrays.numpy, starts.shape
    value, gradient = at(starts)
    first = (starts, value, gradient, numpy.full(lanes, _FARTHEST / 2))
    flowed = arrays.repeat(_FLOW, lambda _, flow: _flowed(numpy, at, flow, bounds), first)[0]
    most = _FINISH + 20 * size

    def go_on(carry: tuple[Lanes, Any, Any]) -> tuple[Lanes, Any, Any]:
        lanes, done, taken = carry
        after, progress = step_lanes(arrays, at, lanes, bounds)
        # Lanes that are done keep their state while the slowest one goes on.
        kept = chosen_lanes(numpy, done, lanes, after) if arrays.may_hold(done) else after
        return kept, done | progress.stuck, taken + 1

    begun = begin_lanes(numpy, flowed, numpy.full(lanes, 1e-4))
    carry = (begun, numpy.zeros(lanes, bool), numpy.zeros((), int))
    ended, _, taken = arrays.loop(lambda carry: ~numpy.all(carry[1]) & (carry[2] < most), go_on, carry)
    return ended.point, taken + _FLOW + 1


def _flowed(numpy: ModuleType, at: Slopes, flow: Any, bounds: Any) -> Any:
    """Take one small step down the slope; lengthen the next while the value falls, shorten it where it does not."""
    point, value, gradient, reach = flow
    held = ((point <= bounds[0]) & (gradient > 0)) | ((point >= bounds[1]) & (gradient < 0))
    free = numpy.where(held, 0.0, gradient)
    length = numpy.sqrt((free * free).sum(axis=1))
    tried = point - free * (reach / numpy.where(length > 0, length, 1.0))[:, None]
    tried = numpy.minimum(numpy.maximum(tried, bounds[0]), bounds[1])
    reached, slope = at(tried)
    good = numpy.isfinite(reached) & numpy.isfinite(slope).all(axis=1) & (reached < value)
    return (
        numpy.where(good[:, None], tried, point),
        numpy.where(good, reached, value),
        numpy.where(good[:, None], slope, gradient),
        numpy.where(good, numpy.minimum(1.5 * reach, _FARTHEST), reach / 3),
    )


def _to_the_bottom_in_numpy(space: Space, units: np.ndarray) -> tuple[np.ndarray, int]:
    goal = numeric_objective(space)
    assert goal is not None
    with np.errstate(all="ignore"):
        at = in_units(goal.values_and_gradients, space.origin, space.extent)
        points, taken = _settled(NUMPY_ARRAYS, at, units, space.unit_bounds)
    return points, int(taken) * len(units)


def _compiled_bottom(layout: RowLayout) -> Any:
    """Compile `piece → (units, evaluations of each lane of a block)`."""

    def block(starts: Any, arguments: tuple[Any, ...]) -> tuple[Any, Any]:
        origin, extent, bounds, data = arguments
        return _settled(JAX_ARRAYS, in_units(compiled_slopes(layout, data), origin, extent), starts, bounds)

    return wide(lambda arguments: jax().lax.map(lambda starts: block(starts, arguments[1:]), arguments[0]))


# By a method.


def _advanced(
    arrays: Arrays, rule: Rule, step: RuleInput, state: Any, bounds: tuple[Point, Point] | None
) -> tuple[Point, Any]:
    """Return the point after a step of a rule, kept inside the bounds, and the rule's next state."""
    numpy = arrays.numpy
    value, gradient = arrays.value_and_gradient(step.value_function, step.point)
    change, state = rule.update(step._replace(value=value, gradient=gradient), state)
    reached = arrays.map(lambda leaf, by: leaf + by.astype(leaf.dtype), step.point, change)
    if bounds is not None:
        reached = arrays.map(lambda leaf, *ends: numpy.minimum(numpy.maximum(leaf, ends[0]), ends[1]), reached, *bounds)
    return reached, state


def _run(
    arrays: Arrays, advance: Callable[[Any, Any], tuple[Any, Any]], point: Any, state: Any, steps: Any
) -> tuple[Any, Any]:
    """Take steps until none of the points has moved for long; return the points, and the number of steps."""
    numpy = arrays.numpy

    def chunk(carry: tuple[Any, Any, Any, Any]) -> tuple[Any, Any, Any, Any]:
        point, state, taken, _ = carry
        most = numpy.minimum(taken + _CHUNK, steps)
        reached, state = arrays.repeat(most - taken, lambda _, carry: advance(*carry), (point, state))
        moved = [_moves(numpy, a, b) for a, b in zip(_leaves(reached), _leaves(point), strict=True)]
        return reached, state, most, functools.reduce(lambda a, b: a | b, moved)

    carry = (point, state, numpy.zeros_like(steps), numpy.array(True))
    point, _, taken, _ = arrays.loop(lambda carry: carry[3] & (carry[2] < steps), chunk, carry)
    return point, taken


def _leaves(point: Any) -> Any:
    return [point] if isinstance(point, np.ndarray) else jax().tree.leaves(point)


def _moves(numpy: ModuleType, after: Any, before: Any) -> Any:
    """Return whether any entry of a leaf has moved; NaN and ∞ compare as not moved."""
    return numpy.any(numpy.abs(after - before) > _STILL * numpy.abs(after))


def _alone(method: Method) -> bool:
    """Whether a rule looks at a single point, so that starts take turns in NumPy."""
    return method.searches_line or method.spec.noisy


def _by_method_in_numpy(
    space: Space, starts: np.ndarray, method: Method, rate: float, steps: int, settings: Mapping[str, Any]
) -> DescentEnds:
    goal = numeric_objective(space)
    assert goal is not None
    alone = _alone(method)
    arrays = NUMPY_ARRAYS if alone else LANE_ARRAYS
    rule = rule_of(method, arrays)
    bounds = (space.low, space.high) if space.bounded else None

    def advance(point: Any, state: Any) -> tuple[Any, Any]:
        return _advanced(arrays, rule, RuleInput(point, None, None, rate, settings, goal), state, bounds)

    with np.errstate(all="ignore"):
        ended = [
            _run(arrays, advance, point, rule.init(point, settings), np.int64(steps))
            for point in (starts if alone else [starts])
        ]
    points = np.array([point for point, _ in ended]) if alone else ended[0][0]
    return DescentEnds(points, sum(int(taken) for _, taken in ended) * (1 if alone else len(starts)))


def _compiled_method(layout: RowLayout, method: Method, bounded: bool) -> Any:
    """Compile `piece → (points, steps of each block)`."""
    rule = rule_of(method)

    def block(starts: Any, arguments: tuple[Any, ...]) -> tuple[Any, Any]:
        rate, settings, steps, bounds, data = arguments
        ends = (layout.point(bounds[0]), layout.point(bounds[1])) if bounded else None

        def advance(point: Any, state: Any) -> tuple[Any, Any]:
            step = RuleInput(point, None, None, rate, settings, lambda at: layout.function(at, data))
            return _advanced(JAX_ARRAYS, rule, step, state, ends)

        point = jax().vmap(layout.point)(starts)
        state = jax().vmap(lambda at: rule.init(at, settings))(point)
        point, taken = _run(JAX_ARRAYS, jax().vmap(advance), point, state, steps)
        return jax().vmap(lambda at: jax().flatten_util.ravel_pytree(layout.ordered(at))[0])(point), taken

    return wide(lambda arguments: jax().lax.map(lambda starts: block(starts, arguments[1:]), arguments[0]))


# Blocks of starts, for compiled programs.


def _blocks(starts: np.ndarray, block: int, blocks: int) -> np.ndarray:
    """Return starts as blocks, shape (blocks, block, size), filled with the last start."""
    filled = np.concatenate([starts, np.repeat(starts[-1:], blocks * block - len(starts), axis=0)])
    return filled.reshape(blocks, block, -1)


def _rejoined(points: np.ndarray) -> np.ndarray:
    """Reshape points of shape (blocks, block, size) to rows."""
    return points.reshape(-1, points.shape[-1])
