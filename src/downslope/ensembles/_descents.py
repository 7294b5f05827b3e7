"""Descents from many starts: by a method of `descend` at one rate, or by small steps and BFGS to the nearest minimum.

Starts are grouped into blocks whose state fits a core's cache. Tests for the end would cost more than steps of a small
formula, so by a method of `descend` a block runs a hundred steps and ends when none of its points moved in them.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from downslope._engine import jax
from downslope._types import Columns
from downslope.ensembles._lanes import Lanes, begin_lanes, count, side_by_side, step_lanes, wide
from downslope.ensembles._space import RowLayout, Space, program
from downslope.methods import Method, RuleInput, rule_of

_BLOCK = 200  # starts whose state fits a core's first-level cache; larger blocks are slower per start
_BLOCK_BYTES = 4 << 20  # for the inverse Hessians of a block
_CHUNK = 100  # steps between two tests for the end
_STILL = 1e-15  # a relative change below it over a chunk is none
_FLOW = 200  # small steps along −∇f, which decide the basin
_FARTHEST = 0.02  # of the extent: the longest of these steps
_FINISH = 200  # steps of BFGS to the bottom, plus 20 per coordinate


class DescentEnds(NamedTuple):
    """The end points of many descents.

    Args:
        points: shape (starts, size).
        evaluations: number of evaluations of value and gradient.
    """

    points: np.ndarray
    evaluations: int


def by_method(space: Space, starts: np.ndarray, method: Method, rate: float, steps: int) -> DescentEnds:
    """Return where a method of `descend` ends from each start.

    Args:
        space: the box or cloud; points are kept inside a box.
        starts: shape (starts, size).
        method: the method.
        rate: the learning rate α, NaN for a method without one.
        steps: the maximum number of steps.
    """
    objective = space.objective
    settings = {name: np.float64(number) for name, number in method.settings.items()} | {"seed": np.uint32(0)}
    bounds = (space.low, space.high) if space.bounded else None
    run = program(space, _fixed, method.structure, space.bounded)
    pieces, unpadded = _pieces(starts.astype(objective.precision), _BLOCK)
    shared = (np.asarray(rate, objective.precision), settings, np.int64(steps), bounds, objective.data)
    ended = side_by_side(run, [(piece, *shared) for piece in pieces], objective.precision)
    points = np.concatenate([_rejoined(points) for points, _ in ended])[:unpadded]
    return DescentEnds(points.astype(float), sum(int(np.sum(taken)) for _, taken in ended) * _block_of(pieces))


def to_the_bottom(space: Space, starts: np.ndarray) -> DescentEnds:
    """Return the minimum of the basin that each start lies in: small steps along −∇f, then BFGS.

    Args:
        space: the box or cloud.
        starts: shape (starts, size).
    """
    objective = space.objective
    block = int(np.clip(_BLOCK_BYTES // (8 * space.size**2), 1, _BLOCK))
    pieces, unpadded = _pieces((starts - space.origin) / space.extent, block)
    shared = (space.origin, space.extent, space.unit_bounds, objective.data)
    ended = side_by_side(program(space, _careful), [(piece, *shared) for piece in pieces], objective.precision)
    units = np.concatenate([_rejoined(points) for points, _ in ended])[:unpadded]
    points = space.origin + space.extent * units
    if space.bounded:  # rounding must not carry a point on an edge over it
        points = np.where(units <= 0, space.low, np.where(units >= 1, space.high, points))
    return DescentEnds(points, sum(int(np.sum(taken)) for _, taken in ended) * _block_of(pieces))


def _pieces(starts: np.ndarray, block: int) -> tuple[list[np.ndarray], int]:
    """Split starts into batches of shape (blocks, block, size), padded by the last start; return them and the count.

    Args:
        starts: shape (starts, size).
        block: the maximum number of starts per block.
    """
    size = min(block, -(-len(starts) // count()))
    blocks = -(-len(starts) // (size * count()))
    padded = np.concatenate([starts, np.repeat(starts[-1:], blocks * size * count() - len(starts), axis=0)])
    return list(padded.reshape(count(), blocks, size, -1)), len(starts)


def _rejoined(points: np.ndarray) -> np.ndarray:
    """Reshape points of shape (blocks, block, size) to rows."""
    return points.reshape(-1, points.shape[-1])


def _block_of(pieces: list[np.ndarray]) -> int:
    """Return the number of starts per block."""
    return pieces[0].shape[1]


def _fixed(layout: RowLayout, method: Method, bounded: bool) -> Any:
    """Compile the program of `by_method`: `piece → (points, steps of each block)`."""
    rule = rule_of(method)

    def step(carry: Any, rate: Any, settings: Any, bounds: Any, data: Columns) -> Any:
        point, state = carry

        def value(at: Any) -> Any:
            return layout.function(at, data)

        height, gradient = jax().value_and_grad(value)(point)
        change, state = rule.update(RuleInput(point, height, gradient, rate, settings, value), state)
        reached = jax().tree.map(lambda leaf, by: leaf + by.astype(leaf.dtype), point, change)
        if bounded:
            numpy = jax().numpy
            reached = jax().tree.map(numpy.clip, reached, layout.point(bounds[0]), layout.point(bounds[1]))
        return reached, state

    def block(starts: Any, arguments: tuple[Any, ...]) -> tuple[Any, Any]:
        rate, settings, steps, bounds, data = arguments
        lax, tree = jax().lax, jax().tree
        point = jax().vmap(layout.point)(starts)
        state = jax().vmap(lambda at: rule.init(at, settings))(point)
        lanes = jax().vmap(lambda carry: step(carry, rate, settings, bounds, data))

        def chunk(carry: tuple[Any, Any, Any, Any]) -> tuple[Any, Any, Any, Any]:
            point, state, taken, _ = carry
            most = jax().numpy.minimum(taken + _CHUNK, steps)
            reached, state = lax.fori_loop(taken, most, lambda _, carry: lanes(carry), (point, state))
            pairs = zip(tree.leaves(reached), tree.leaves(point), strict=True)
            return reached, state, most, functools.reduce(lambda a, b: a | b, [_moves(a, b) for a, b in pairs])

        carry = (point, state, jax().numpy.zeros((), steps.dtype), jax().numpy.array(True))
        point, _, taken, _ = lax.while_loop(lambda carry: carry[3] & (carry[2] < steps), chunk, carry)
        return jax().vmap(lambda at: jax().flatten_util.ravel_pytree(layout.ordered(at))[0])(point), taken

    return wide(lambda arguments: jax().lax.map(lambda starts: block(starts, arguments[1:]), arguments[0]))


def _moves(after: Any, before: Any) -> Any:
    """Return whether any entry of a leaf has moved; NaN and ∞ compare as not moved."""
    numpy = jax().numpy
    return numpy.any(numpy.abs(after - before) > _STILL * numpy.abs(after))


def _careful(layout: RowLayout) -> Any:
    """Compile the program of `to_the_bottom`: `piece → (units, evaluations of each lane of a block)`."""

    def block(starts: Any, arguments: tuple[Any, ...]) -> tuple[Any, Any]:
        origin, extent, bounds, data = arguments
        lax, numpy = jax().lax, jax().numpy

        def at(points: Any) -> tuple[Any, Any]:
            return jax().vmap(jax().value_and_grad(lambda unit: layout.value(origin + extent * unit, data)))(points)

        # BFGS alone jumps: its first steps, and those along negative curvature, may cross into another basin. Steps of
        # at most 2 % of the extent that always go down keep to the basin that −∇f leads to.
        value, gradient = at(starts)
        first = (starts, value, gradient, numpy.full(len(starts), _FARTHEST / 2))
        flowed = lax.fori_loop(0, _FLOW, lambda _, flow: _flowed(at, flow, bounds), first)[0]
        lanes = begin_lanes(flowed, numpy.full(len(starts), 1e-4))
        most = _FINISH + 20 * starts.shape[1]

        def go_on(carry: tuple[Lanes, Any, Any]) -> tuple[Lanes, Any, Any]:
            lanes, done, taken = carry
            after, progress = step_lanes(at, lanes, bounds)
            # Lanes that are done keep their state while the block's slowest lane goes on.
            kept = jax().tree.map(
                lambda new, old: numpy.where(done.reshape(done.shape + (1,) * (new.ndim - 1)), old, new), after, lanes
            )
            return kept, done | progress.stuck, taken + 1

        carry = (lanes, numpy.zeros(len(starts), bool), numpy.zeros((), int))
        lanes, _, taken = lax.while_loop(lambda carry: ~numpy.all(carry[1]) & (carry[2] < most), go_on, carry)
        return lanes.point, taken + _FLOW + 1

    return wide(lambda arguments: jax().lax.map(lambda starts: block(starts, arguments[1:]), arguments[0]))


def _flowed(at: Any, flow: Any, bounds: Any) -> Any:
    """Take one small step down the slope; lengthen the next while the value falls, shorten it where it does not."""
    numpy = jax().numpy
    point, value, gradient, reach = flow
    held = ((point <= bounds[0]) & (gradient > 0)) | ((point >= bounds[1]) & (gradient < 0))
    free = numpy.where(held, 0.0, gradient)
    length = numpy.sqrt(numpy.sum(free * free, axis=1))
    tried = point - free * (reach / numpy.where(length > 0, length, 1.0))[:, None]
    tried = numpy.clip(tried, *bounds)
    reached, slope = at(tried)
    good = numpy.isfinite(reached) & numpy.all(numpy.isfinite(slope), axis=1) & (reached < value)
    return (
        numpy.where(good[:, None], tried, point),
        numpy.where(good, reached, value),
        numpy.where(good[:, None], slope, gradient),
        numpy.where(good, numpy.minimum(1.5 * reach, _FARTHEST), reach / 3),
    )
