"""Basin hopping by islands of chains: each iteration evaluates every chain once.

A chain descends to a local minimum (`_lanes`), makes it its base if it is lower than the last, and hops from there: by
a random change of some coordinates whose size is drawn from a wide range, by mixing in coordinates of another chain's
base, or by a step along the difference of two bases. Only a chain that may beat its island's best descends to full
precision; the others hop as soon as they cannot matter. An island whose best has not improved for long records it and
restarts at random points, which makes the next round independent evidence.

It is written in the array interface; a Python loop and a compiled one run it. Random numbers are a function of seed,
iteration and island, so that both draw the same.

References: Wales and Doye, "Global optimization by basin-hopping", 1997; Storn and Price, "Differential evolution",
1997.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from downslope._arrays import JAX_ARRAYS, NUMPY_ARRAYS, Arrays
from downslope._engine import jax
from downslope.descent import array_seconds, evaluation_seconds
from downslope.ensembles._lanes import Lanes, begin_lanes, step_lanes, wide
from downslope.ensembles._space import RowLayout, Slopes, Space, compiled_slopes, in_units
from downslope.methods import uniform

CHAINS = 16  # to an island
_MIXED, _ALONG = 0.3, 0.25  # shares of the hops that mix two bases, and that step along a difference
_SMALLEST, _LARGEST = -2.0, -0.3  # powers of ten of a random change, as shares of the extent
_LOOSE = 1e-4  # of the island's spread: predicted decrease at which a chain that cannot beat the best stops
_TIGHT = 1e-14  # the same for one that can
_TIGHT_OF_VALUE = 1e-12  # of the value, which rounding limits
_PATIENCE = 20  # hops of every chain without a better best, after which an island restarts
_FIRST_REACH = 0.1  # of the size of a hop: the first step of the descent after it
_OPERATIONS = 200  # of NumPy in an iteration
_AT_ONCE = 64  # iterations whose random numbers NumPy draws together


class Islands(NamedTuple):
    """The chains of some islands and their records.

    Args:
        number: of each island, which its random numbers depend on, shape (islands,).
        lanes: the descents of all chains, island by island, islands × chains of them.
        base: the minimum from which each chain hops, shape (islands, chains, size).
        height: the value at each base, shape (islands, chains).
        spread: median of the heights above the best, the unit of precision, shape (islands,), as are all but the rest.
        best: the lowest value of this round.
        idle: number of hops since it was reached.
        rounds: number of completed rounds.
        values: the best value of each round, shape (islands, most rounds).
        points: its point, shape (islands, most rounds, size).
        evaluations: number of evaluations by an island.
        reached: number of evaluations when the lowest value of all rounds was first met.
        lowest: that value, during a descent or at a minimum.
        lowest_point: its point, shape (islands, size).
    """

    number: Any
    lanes: Lanes
    base: Any
    height: Any
    spread: Any
    best: Any
    idle: Any
    rounds: Any
    values: Any
    points: Any
    evaluations: Any
    reached: Any
    lowest: Any
    lowest_point: Any


# The drivers. Both take the number of the first iteration, which the random numbers depend on.


def compiled(layout: RowLayout) -> Any:
    """Compile `(islands, seed, first, iterations, origin, extent, bounds, data) → islands`.

    Points are in units of the extent from the origin.

    Args:
        layout: the conversion between points and rows.
    """

    def go_on(arguments: Any) -> Islands:
        islands, seed, first, iterations, origin, extent, bounds, data = arguments
        at = in_units(compiled_slopes(layout, data), origin, extent)

        def body(index: Any, islands: Islands) -> Islands:
            draws = _draws(jax().numpy, seed, first + index, islands.number, islands.base.shape[2])
            return iterate(JAX_ARRAYS, at, islands, draws, bounds)

        return jax().lax.fori_loop(0, iterations, body, islands)

    return wide(go_on)


def in_numpy(at: Slopes, islands: Islands, seed: int, first: int, iterations: int, bounds: Any) -> Islands:
    """Return islands after a number of iterations in NumPy.

    Args:
        at: values and gradients at points in units of the extent.
        islands: the state before.
        seed: of the random numbers.
        first: the number of the first iteration.
        iterations: how many.
        bounds: of the points.
    """
    size = islands.base.shape[2]
    for begun in range(first, first + iterations, _AT_ONCE):
        several = np.arange(begun, min(begun + _AT_ONCE, first + iterations))
        with np.errstate(all="ignore"):
            for draws in _draws(np, seed, several[:, None, None], islands.number, size):
                islands = iterate(NUMPY_ARRAYS, at, islands, draws, bounds)
    return islands


def _draws(numpy: ModuleType, seed: Any, iteration: Any, numbers: Any, size: int) -> Any:
    """Return all random numbers of an iteration, shape (…, islands, chains + 1, 3 size + 4).

    They are drawn in one call: the generator costs more per call than per number.
    """
    width = 3 * size + 4
    pairs = math.ceil((CHAINS + 1) * width / 2)
    index = numpy.asarray(numbers, "uint32")[:, None] * pairs + numpy.arange(pairs, dtype="uint32")
    drawn = uniform(numpy, seed, iteration, index)[..., : (CHAINS + 1) * width]
    return drawn.reshape(*drawn.shape[:-1], CHAINS + 1, width)


def begin(seed: int, numbers: np.ndarray, bounds: Any, most_rounds: int) -> Islands:
    """Return islands at the start of their first round, their chains at random points.

    Args:
        seed: of the random numbers.
        numbers: of the islands.
        bounds: of the points, in units of the extent.
        most_rounds: capacity of an island's record of rounds; later rounds overwrite the last.
    """
    size, islands = len(bounds[0]), len(numbers)
    points = _anywhere(np, _draws(np, seed, 0, numbers, size), bounds)
    every_chain, each = (islands, CHAINS), np.zeros(islands)
    return Islands(
        number=numbers,
        lanes=begin_lanes(np, points.reshape(-1, size), np.full(islands * CHAINS, _FIRST_REACH)),
        base=points,
        height=np.full(every_chain, np.inf),
        spread=each,
        best=np.full(islands, np.inf),
        idle=each.astype(int),
        rounds=each.astype(int),
        values=np.full((islands, most_rounds), np.inf),
        points=np.zeros((islands, most_rounds, size)),
        evaluations=each.astype(int),
        reached=each.astype(int),
        lowest=np.full(islands, np.inf),
        lowest_point=points[:, 0],
    )


def iteration_seconds(space: Space, islands: int) -> float:
    """Return about how long NumPy takes for an iteration of some islands."""
    lanes = islands * CHAINS
    return _OPERATIONS * array_seconds(lanes * space.size**2) + evaluation_seconds(space.objective, lanes)


# One iteration, in the array interface.


def iterate(arrays: Arrays, at: Slopes, islands: Islands, draws: Any, bounds: Any) -> Islands:
    """Evaluate every chain once; those whose descent is over hop.

    Args:
        arrays: the array interface.
        at: values and gradients at points.
        islands: the state before.
        draws: the random numbers of this iteration.
        bounds: lowest and highest value of each coordinate.
    """
    numpy = arrays.numpy
    shape = islands.height.shape
    size = islands.base.shape[2]
    lanes, progress = step_lanes(arrays, at, islands.lanes, bounds)
    value, predicted = lanes.value.reshape(shape), progress.predicted.reshape(shape)
    point = lanes.point.reshape(islands.base.shape)
    # Most evaluations would go into polishing minima that lose anyway. The predicted decrease gᵀBg is about twice what
    # is left to gain, so a chain that would still be above the best after it can stop at a few digits.
    promising = value - predicted < islands.best[:, None]
    tight = _TIGHT_OF_VALUE * numpy.abs(value) + _TIGHT * islands.spread[:, None]
    enough = numpy.where(promising, tight, _LOOSE * islands.spread[:, None] + tight)
    # The limit on evaluations grows with the size: BFGS needs about as many steps as coordinates to learn the Hessian.
    over = (progress.stuck | (lanes.tried > 15 + 5 * size)).reshape(shape)
    rests = over | (predicted <= enough)
    # The lowest value counts from the moment it is met, though its descent is not over: a search that is stopped by its
    # limits returns it.
    evaluations = islands.evaluations + CHAINS
    met = value.min(axis=1)
    record = met < islands.lowest
    if arrays.may_hold(record):
        islands = islands._replace(
            reached=numpy.where(record, evaluations, islands.reached),
            lowest=numpy.where(record, met, islands.lowest),
            lowest_point=numpy.where(record[:, None], _row(numpy, point, value.argmin(axis=1)), islands.lowest_point),
        )
    islands = islands._replace(lanes=lanes, evaluations=evaluations)
    if not arrays.may_hold(rests):
        return islands
    lower = rests & (value < islands.height)
    base = numpy.where(lower[:, :, None], point, islands.base)
    height = numpy.where(lower, value, islands.height)
    # Each chain accepts only lower minima. Diversity comes from the other chains and from restarts, not from a
    # temperature, whose scale would have to be known beforehand.
    ascending = numpy.sort(height, axis=1)
    top = ascending[:, 0]
    better = top < islands.best - 1e-9 * numpy.abs(islands.best)
    middle = (ascending[:, CHAINS // 2 - 1] + ascending[:, CHAINS // 2]) / 2
    islands = islands._replace(
        base=base,
        height=height,
        spread=numpy.where(numpy.isfinite(ascending[:, -1]), middle - top, islands.spread),
        best=numpy.minimum(top, islands.best),
        idle=numpy.where(better, 0, islands.idle + rests.sum(axis=1)),
    )
    targets, reach = _hops(numpy, islands, draws, bounds)
    lanes = _restarted(numpy, lanes, rests.reshape(-1), targets.reshape(-1, size), reach.reshape(-1))
    return _next_round(arrays, islands._replace(lanes=lanes), draws, bounds)


def _row(numpy: ModuleType, rows: Any, index: Any) -> Any:
    """Return a row of each island, shapes (islands, rows, size) and (islands,) → (islands, size)."""
    return rows[numpy.arange(len(index)), index]


def _hops(numpy: ModuleType, islands: Islands, draws: Any, bounds: Any) -> tuple[Any, Any]:
    """Return the point that each chain would hop to, and the length of its first step there.

    All three kinds of hop are computed for every chain and one is selected, as chains that hop and chains that do not
    share one program.
    """
    base, height, size = islands.base, islands.height, islands.base.shape[2]
    chains = draws[:, :CHAINS]
    chance, toss, noise = (chains[:, :, part * size : (part + 1) * size] for part in range(3))
    kind, power, share, which = (chains[:, :, 3 * size + part] for part in range(4))
    # Two partners per chain, by a rotation of the chains that is the same for all of an island: every chain has another
    # as partner, without drawing indices for each.
    island = numpy.arange(len(base))[:, None]
    offsets = 1 + numpy.floor(draws[:, CHAINS, :2] * (CHAINS - 1)).astype(int)
    first, second = ((numpy.arange(CHAINS) - offsets[:, part, None]) % CHAINS for part in range(2))
    left, right = base[island, first], base[island, second]
    first_lower = height[island, first] < height[island, second]
    # A random share of the coordinates, at least one: for separable objectives one coordinate at a time is best, for
    # others all together.
    chosen = (chance < share[:, :, None]) | (numpy.arange(size) == numpy.floor(which * size)[:, :, None])
    # Sizes over two decades, evenly in their logarithm, as the distance between valleys is not known.
    length = 10 ** (_SMALLEST + (_LARGEST - _SMALLEST) * power)
    noise = 1.7 * (2 * noise - 1)
    changed = base + numpy.where(chosen, noise * length[:, :, None], 0.0)
    mixed = numpy.where(toss < 0.5, numpy.where(first_lower[:, :, None], left, right), base)
    # A difference of two bases has the size and direction of the distances between valleys (differential evolution).
    along = base + numpy.where(chosen, (left - right) * (1 + 0.1 * noise), 0.0)
    far = kind < _MIXED + _ALONG
    targets = numpy.where((kind < _MIXED)[:, :, None], mixed, numpy.where(far[:, :, None], along, changed))
    # Chains of one island gather in one valley in time; then mixing and differences lead nowhere.
    nowhere = numpy.abs(targets - base).max(axis=2) < 1e-6
    targets = numpy.where(nowhere[:, :, None], changed, targets)
    reach = _FIRST_REACH * numpy.where(far & ~nowhere, 1.0, length)
    return _reflected(numpy, targets, bounds), reach


def _restarted(numpy: ModuleType, lanes: Lanes, chosen: Any, points: Any, reach: Any) -> Lanes:
    """Return the lanes with the chosen ones restarted at other points."""
    # The inverse Hessian and the gradient stay: with `taken` 0 they are replaced at the first evaluation.
    return lanes._replace(
        point=numpy.where(chosen[:, None], points, lanes.point),
        value=numpy.where(chosen, numpy.inf, lanes.value),
        ahead=numpy.where(chosen[:, None], 0.0, lanes.ahead),
        share=numpy.where(chosen, 1.0, lanes.share),
        tried=numpy.where(chosen, 0, lanes.tried),
        taken=numpy.where(chosen, 0, lanes.taken),
        reach=numpy.where(chosen, reach, lanes.reach),
    )


def _next_round(arrays: Arrays, islands: Islands, draws: Any, bounds: Any) -> Islands:
    """Return the islands; those that have been idle for long, with their best recorded and chains at random points."""
    numpy, (count, most) = arrays.numpy, islands.values.shape
    over = islands.idle > _PATIENCE * CHAINS
    if not arrays.may_hold(over):
        return islands
    row = numpy.minimum(islands.rounds, most - 1)
    now = over[:, None] & (numpy.arange(most) == row[:, None])
    top = _row(numpy, islands.base, islands.height.argmin(axis=1))
    everyone = numpy.broadcast_to(over[:, None], (count, CHAINS)).reshape(-1)
    points = _anywhere(numpy, draws, bounds).reshape(count * CHAINS, -1)
    return islands._replace(
        values=numpy.where(now, islands.best[:, None], islands.values),
        points=numpy.where(now[:, :, None], top[:, None], islands.points),
        rounds=islands.rounds + over,
        lanes=_restarted(numpy, islands.lanes, everyone, points, numpy.full(count * CHAINS, _FIRST_REACH)),
        height=numpy.where(over[:, None], numpy.inf, islands.height),
        best=numpy.where(over, numpy.inf, islands.best),
        spread=numpy.where(over, 0.0, islands.spread),
        idle=numpy.where(over, 0, islands.idle),
    )


def _anywhere(numpy: ModuleType, draws: Any, bounds: Any) -> Any:
    """Return a point for each chain: in the unit box, or in a standard normal cloud where there are no bounds."""
    size = len(bounds[0])
    uniform, angle = draws[..., :CHAINS, :size], draws[..., :CHAINS, size : 2 * size]
    cloud = numpy.sqrt(-2.0 * numpy.log(uniform)) * numpy.cos(2 * math.pi * angle)  # Box and Muller
    return numpy.where(numpy.isfinite(bounds[0]), uniform, cloud)


def _reflected(numpy: ModuleType, points: Any, bounds: Any) -> Any:
    """Reflect points at the bounds until they lie inside."""
    # Clipping would pile hops up on the edges. Repeated reflection is a triangle wave of period 2.
    folded = numpy.mod(points, 2.0)
    return numpy.where(numpy.isfinite(bounds[0]), numpy.where(folded > 1, 2 - folded, folded), points)
