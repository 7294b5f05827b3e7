"""Basin hopping by islands of chains, compiled: each iteration evaluates every chain once.

A chain descends to a local minimum (`_lanes`), makes it its base if it is lower than the last, and hops from there: by
a random change of some coordinates whose size is drawn from a wide range, by mixing in coordinates of another chain's
base, or by a step along the difference of two bases. Only a chain that may beat its island's best descends to full
precision; the others hop as soon as they cannot matter. An island whose best has not improved for long records it and
restarts at random points, which makes the next round independent evidence.

References: Wales and Doye, "Global optimization by basin-hopping", 1997; Storn and Price, "Differential evolution",
1997.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from downslope._engine import jax
from downslope.ensembles._lanes import Lanes, begin_lanes, step_lanes, wide
from downslope.ensembles._space import RowLayout

CHAINS = 16  # to an island
_MIXED, _ALONG = 0.3, 0.25  # shares of the hops that mix two bases, and that step along a difference
_SMALLEST, _LARGEST = -2.0, -0.3  # powers of ten of a random change, as shares of the extent
_LOOSE = 1e-4  # of the island's spread: predicted decrease at which a chain that cannot beat the best stops
_TIGHT = 1e-14  # the same for one that can
_TIGHT_OF_VALUE = 1e-12  # of the value, which rounding limits
_PATIENCE = 20  # hops of every chain without a better best, after which an island restarts
_FIRST_REACH = 0.1  # of the size of a hop: the first step of the descent after it


class Island(NamedTuple):
    """The chains of an island and its record.

    Args:
        key: state of its random numbers.
        lanes: the descents of the chains.
        base: the minimum from which each chain hops, shape (chains, size).
        height: the value at each base, shape (chains,).
        spread: median of the heights above the best, the unit of precision.
        best: the lowest value of this round.
        idle: number of hops since it was reached.
        rounds: number of completed rounds.
        values: the best value of each, shape (most rounds,).
        points: its point, shape (most rounds, size).
        evaluations: number of evaluations by the island.
        reached: number of evaluations when the lowest value of all rounds was first met.
        lowest: that value, during a descent or at a minimum.
        lowest_point: its point, shape (size,).
    """

    key: Any
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


def programs(layout: RowLayout, most_rounds: int) -> tuple[Any, Any]:
    """Compile the programs that initialise and advance islands.

    `begin((keys, bounds)) → islands` and `go_on((islands, iterations, origin, extent, bounds, data)) → islands`, each
    over several islands at once. Points are in units of the extent from the origin.

    Args:
        layout: the conversion between points and rows.
        most_rounds: capacity of an island's record of rounds; later rounds overwrite the last.
    """

    def begin(arguments: tuple[Any, Any]) -> Island:
        keys, bounds = arguments
        return jax().vmap(lambda key: _begin(key, bounds, most_rounds))(keys)

    def go_on(arguments: Any) -> Island:
        islands, iterations, origin, extent, bounds, data = arguments

        def at(points: Any) -> tuple[Any, Any]:
            return jax().vmap(jax().value_and_grad(lambda unit: layout.value(origin + extent * unit, data)))(points)

        def iterate(_: Any, islands: Island) -> Island:
            return jax().vmap(lambda island: _iterate(at, island, bounds))(islands)

        return jax().lax.fori_loop(0, iterations, iterate, islands)

    return jax().jit(begin), wide(go_on)


def _begin(key: Any, bounds: Any, most_rounds: int) -> Island:
    """Return an island at the start of its first round, its chains at random points."""
    numpy = jax().numpy
    key, drawn = jax().random.split(jax().random.wrap_key_data(key))
    points = _anywhere(jax().random.uniform(drawn, (CHAINS, len(bounds[0]))), bounds)
    none = numpy.full(CHAINS, numpy.inf)
    return Island(
        key=jax().random.key_data(key),
        lanes=begin_lanes(points, numpy.full(CHAINS, _FIRST_REACH)),
        base=points,
        height=none,
        spread=numpy.zeros(()),
        best=numpy.asarray(numpy.inf),
        idle=numpy.zeros((), int),
        rounds=numpy.zeros((), int),
        values=numpy.full(most_rounds, numpy.inf),
        points=numpy.zeros((most_rounds, points.shape[1])),
        evaluations=numpy.zeros((), int),
        reached=numpy.zeros((), int),
        lowest=numpy.asarray(numpy.inf),
        lowest_point=points[0],
    )


def _iterate(at: Any, island: Island, bounds: Any) -> Island:
    """Evaluate every chain once; those whose descent is over hop."""
    numpy = jax().numpy
    size = island.base.shape[1]
    lanes, progress = step_lanes(at, island.lanes, bounds)
    # Most evaluations would go into polishing minima that lose anyway. The predicted decrease gᵀBg is about twice what
    # is left to gain, so a chain that would still be above the best after it can stop at a few digits.
    promising = lanes.value - progress.predicted < island.best
    tight = _TIGHT_OF_VALUE * numpy.abs(lanes.value) + _TIGHT * island.spread
    enough = numpy.where(promising, tight, _LOOSE * island.spread + tight)
    # The limit on evaluations grows with the size: BFGS needs about as many steps as coordinates to learn the Hessian.
    rests = progress.stuck | (progress.predicted <= enough) | (lanes.tried > 15 + 5 * size)
    lower = rests & (lanes.value < island.height)
    base = numpy.where(lower[:, None], lanes.point, island.base)
    height = numpy.where(lower, lanes.value, island.height)
    # Each chain accepts only lower minima. Diversity comes from the other chains and from restarts, not from a
    # temperature, whose scale would have to be known beforehand.
    leader = numpy.argmin(height)
    better = height[leader] < island.best - 1e-9 * numpy.abs(island.best)
    evaluations = island.evaluations + CHAINS
    # The lowest value counts from the moment it is met, though its descent is not over: a search that is stopped by its
    # limits returns it.
    lowest_lane = numpy.argmin(lanes.value)
    record = lanes.value[lowest_lane] < island.lowest
    island = island._replace(
        base=base,
        height=height,
        spread=numpy.where(numpy.all(numpy.isfinite(height)), numpy.median(height) - height[leader], island.spread),
        best=numpy.minimum(height[leader], island.best),
        idle=numpy.where(better, 0, island.idle + numpy.sum(rests)),
        evaluations=evaluations,
        reached=numpy.where(record, evaluations, island.reached),
        lowest=numpy.where(record, lanes.value[lowest_lane], island.lowest),
        lowest_point=numpy.where(record, lanes.point[lowest_lane], island.lowest_point),
    )
    key, drawn = jax().random.split(jax().random.wrap_key_data(island.key))
    # All random numbers of an iteration in one call: the generator costs more per call than per number here.
    draws = jax().random.uniform(drawn, (CHAINS + 1, 3 * size + 4))
    targets, reach = _hops(island, draws, bounds)
    island = island._replace(key=jax().random.key_data(key), lanes=_restarted(lanes, rests, targets, reach))
    return _next_round(island, leader, draws, bounds)


def _hops(island: Island, draws: Any, bounds: Any) -> tuple[Any, Any]:
    """Return the point that each chain would hop to, and the length of its first step there.

    All three kinds of hop are computed for every chain and one is selected, as chains that hop and chains that do not
    share one program.
    """
    numpy = jax().numpy
    base, size = island.base, island.base.shape[1]
    chance, toss, noise = (draws[:CHAINS, part * size : (part + 1) * size] for part in range(3))
    kind, power, share, which = (draws[:CHAINS, 3 * size + part] for part in range(4))
    # Two partners per chain, by a rotation of the chains that is the same for all: every chain has another as partner,
    # without drawing indices for each.
    offsets = 1 + numpy.floor(draws[CHAINS, :2] * (CHAINS - 1)).astype(int)
    first, second = (numpy.roll(base, offset, axis=0) for offset in offsets)
    first_height, second_height = (numpy.roll(island.height, offset) for offset in offsets)
    # A random share of the coordinates, at least one: for separable objectives one coordinate at a time is best, for
    # others all together.
    chosen = (chance < share[:, None]) | (numpy.arange(size) == numpy.floor(which * size)[:, None])
    # Sizes over two decades, evenly in their logarithm, as the distance between valleys is not known.
    length = 10 ** (_SMALLEST + (_LARGEST - _SMALLEST) * power)
    noise = 1.7 * (2 * noise - 1)
    changed = base + numpy.where(chosen, noise * length[:, None], 0.0)
    mixed = numpy.where(toss < 0.5, numpy.where((first_height < second_height)[:, None], first, second), base)
    # A difference of two bases has the size and direction of the distances between valleys (differential evolution).
    along = base + numpy.where(chosen, (first - second) * (1 + 0.1 * noise), 0.0)
    targets = numpy.where(
        (kind < _MIXED)[:, None], mixed, numpy.where((kind < _MIXED + _ALONG)[:, None], along, changed)
    )
    # Chains of one island gather in one valley in time; then mixing and differences lead nowhere.
    nowhere = numpy.max(numpy.abs(targets - base), axis=1) < 1e-6
    targets = numpy.where(nowhere[:, None], changed, targets)
    reach = _FIRST_REACH * numpy.where((kind < _MIXED + _ALONG) & ~nowhere, 1.0, length)
    return _reflected(targets, bounds), reach


def _restarted(lanes: Lanes, chosen: Any, points: Any, reach: Any) -> Lanes:
    """Return the lanes with the chosen ones restarted at other points."""
    numpy = jax().numpy
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


def _next_round(island: Island, leader: Any, draws: Any, bounds: Any) -> Island:
    """Return the island; if it has been idle for long, with its best recorded and its chains at random points."""
    numpy = jax().numpy
    over = island.idle > _PATIENCE * CHAINS
    row = numpy.minimum(island.rounds, len(island.values) - 1)
    points = _anywhere(draws[:CHAINS, : island.base.shape[1]], bounds)
    everyone = numpy.broadcast_to(over, (CHAINS,))
    return island._replace(
        values=numpy.where(over, island.values.at[row].set(island.best), island.values),
        points=numpy.where(over, island.points.at[row].set(island.base[leader]), island.points),
        rounds=island.rounds + over,
        lanes=_restarted(island.lanes, everyone, points, numpy.full(CHAINS, _FIRST_REACH)),
        height=numpy.where(over, numpy.inf, island.height),
        best=numpy.where(over, numpy.inf, island.best),
        spread=numpy.where(over, 0.0, island.spread),
        idle=numpy.where(over, 0, island.idle),
    )


def _anywhere(uniform: Any, bounds: Any) -> Any:
    """Map uniform numbers to points of the unit box, or of a standard normal cloud where there are no bounds."""
    numpy = jax().numpy
    cloud = jax().scipy.special.ndtri(numpy.clip(uniform, 1e-12, 1 - 1e-12))
    return numpy.where(numpy.isfinite(bounds[0]), uniform, cloud)


def _reflected(points: Any, bounds: Any) -> Any:
    """Reflect points at the bounds until they lie inside."""
    numpy = jax().numpy
    # Clipping would pile hops up on the edges. Repeated reflection is a triangle wave of period 2.
    folded = numpy.mod(points, 2.0)
    return numpy.where(numpy.isfinite(bounds[0]), numpy.where(folded > 1, 2 - folded, folded), points)
