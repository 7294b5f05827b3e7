"""Basin hopping by islands of chains, compiled: each iteration evaluates every chain once.

A chain goes down to a local minimum (`_local`), keeps it as its base if it is lower than the last, and leaves from
there for another place: a random change of some coordinates whose size is drawn from a wide range, a mixture with a
lower chain's base, or a step along the difference of two bases. Only a chain that is about to beat its island's best
goes down all the way; the others leave as soon as they cannot matter. An island whose best has not improved for long
writes it down and begins anew, which makes one more independent witness.

References: Wales and Doye, "Global optimization by basin-hopping", 1997; Storn and Price, "Differential evolution",
1997.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from downslope._engine import jax
from downslope.ensembles._lanes import Lanes, begin_lanes, step_lanes, wide
from downslope.ensembles._space import RowLayout

CHAINS = 16  # to an island
_MIXED, _ALONG = 0.3, 0.25  # shares of the hops that mix two bases, and that step along a difference
_SMALLEST, _LARGEST = -2.0, -0.3  # powers of ten of a random change, as shares of the extent
_LOOSE = 1e-4  # of the island's spread: how well a chain that cannot matter goes down
_TIGHT = 1e-14  # and one that can
_TIGHT_OF_VALUE = 1e-12
_PATIENCE = 20  # hops of every chain without a better best after which an island begins anew
_FIRST_REACH = 0.1  # of the size of a hop


class Island(NamedTuple):
    """An island's chains and what it has found.

    Args:
        key: of its random numbers.
        lanes: where each chain stands on its way down.
        base: the minimum that each chain leaves from, shape (chains, size).
        height: its value, shape (chains,).
        spread: median height above the best, in whose shares precision is counted.
        best: the lowest value of this round.
        idle: hops since it was found.
        rounds: rounds that have ended.
        values: their best values, shape (most rounds,).
        points: where, shape (most rounds, size).
        evaluations: of the whole island.
        reached: evaluations at which the lowest value of all was met.
        lowest: that value, on the way down or at a minimum.
        place: where, shape (size,).
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
    place: Any


@functools.lru_cache(maxsize=64)
def programs(layout: RowLayout, most_rounds: int) -> tuple[Any, Any]:
    """Return the compiled programs that begin islands and that go on with them.

    `begin((keys, bounds)) → islands` and `go_on((islands, iterations, origin, extent, bounds, data)) → islands`, each
    over islands side by side. Points are in units of the extent from the origin.

    Args:
        layout: the objective's coordinates.
        most_rounds: how many rounds an island can write down; later ones take the place of the last.
    """

    def begin(given: tuple[Any, Any]) -> Island:
        keys, bounds = given
        return jax().vmap(lambda key: _begin(key, bounds, most_rounds))(keys)

    def go_on(given: Any) -> Island:
        islands, iterations, origin, extent, bounds, data = given

        def at(points: Any) -> tuple[Any, Any]:
            return jax().vmap(jax().value_and_grad(lambda unit: layout.value(origin + extent * unit, data)))(points)

        def iterate(_: Any, islands: Island) -> Island:
            return jax().vmap(lambda island: _iterate(at, island, bounds))(islands)

        return jax().lax.fori_loop(0, iterations, iterate, islands)

    return jax().jit(begin), wide(go_on)


def _begin(key: Any, bounds: Any, most_rounds: int) -> Island:
    """Return an island at the start of its first round."""
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
        place=points[0],
    )


def _iterate(at: Any, island: Island, bounds: Any) -> Island:
    """Evaluate every chain once; those that have come to rest hop."""
    numpy = jax().numpy
    size = island.base.shape[1]
    lanes, progress = step_lanes(at, island.lanes, bounds)
    promising = lanes.value - progress.foreseen < island.best
    tight = _TIGHT_OF_VALUE * numpy.abs(lanes.value) + _TIGHT * island.spread
    enough = numpy.where(promising, tight, _LOOSE * island.spread + tight)
    rests = progress.stuck | (progress.foreseen <= enough) | (lanes.tried > 15 + 5 * size)
    lower = rests & (lanes.value < island.height)
    base = numpy.where(lower[:, None], lanes.point, island.base)
    height = numpy.where(lower, lanes.value, island.height)
    place = numpy.argmin(height)
    better = height[place] < island.best - 1e-9 * numpy.abs(island.best)
    evaluations = island.evaluations + CHAINS
    seen = numpy.argmin(lanes.value)
    record = lanes.value[seen] < island.lowest
    island = island._replace(
        base=base,
        height=height,
        spread=numpy.where(numpy.all(numpy.isfinite(height)), numpy.median(height) - height[place], island.spread),
        best=numpy.minimum(height[place], island.best),
        idle=numpy.where(better, 0, island.idle + numpy.sum(rests)),
        evaluations=evaluations,
        reached=numpy.where(record, evaluations, island.reached),
        lowest=numpy.where(record, lanes.value[seen], island.lowest),
        place=numpy.where(record, lanes.point[seen], island.place),
    )
    key, drawn = jax().random.split(jax().random.wrap_key_data(island.key))
    draws = jax().random.uniform(drawn, (CHAINS + 1, 3 * size + 4))
    leaves, reach = _left(island, draws, bounds)
    island = island._replace(key=jax().random.key_data(key), lanes=_sent(lanes, rests, leaves, reach))
    return _renewed(island, place, draws, bounds)


def _left(island: Island, draws: Any, bounds: Any) -> tuple[Any, Any]:
    """Return where each chain would hop to, and how long its first step would be."""
    numpy = jax().numpy
    base, size = island.base, island.base.shape[1]
    chance, toss, noise = (draws[:CHAINS, part * size : (part + 1) * size] for part in range(3))
    kind, power, share, which = (draws[:CHAINS, 3 * size + part] for part in range(4))
    offsets = 1 + numpy.floor(draws[CHAINS, :2] * (CHAINS - 1)).astype(int)
    one, other = (numpy.roll(base, offset, axis=0) for offset in offsets)
    of_one, of_other = (numpy.roll(island.height, offset) for offset in offsets)
    chosen = (chance < share[:, None]) | (numpy.arange(size) == numpy.floor(which * size)[:, None])
    length = 10 ** (_SMALLEST + (_LARGEST - _SMALLEST) * power)
    noise = 1.7 * (2 * noise - 1)
    changed = base + numpy.where(chosen, noise * length[:, None], 0.0)
    mixed = numpy.where(toss < 0.5, numpy.where((of_one < of_other)[:, None], one, other), base)
    along = base + numpy.where(chosen, (one - other) * (1 + 0.1 * noise), 0.0)
    leaves = numpy.where(
        (kind < _MIXED)[:, None], mixed, numpy.where((kind < _MIXED + _ALONG)[:, None], along, changed)
    )
    nowhere = numpy.max(numpy.abs(leaves - base), axis=1) < 1e-6
    leaves = numpy.where(nowhere[:, None], changed, leaves)
    reach = _FIRST_REACH * numpy.where((kind < _MIXED + _ALONG) & ~nowhere, 1.0, length)
    return _reflected(leaves, bounds), reach


def _sent(lanes: Lanes, chosen: Any, points: Any, reach: Any) -> Lanes:
    """Return the lanes with those that are chosen begun anew at other points."""
    numpy = jax().numpy
    return lanes._replace(
        point=numpy.where(chosen[:, None], points, lanes.point),
        value=numpy.where(chosen, numpy.inf, lanes.value),
        ahead=numpy.where(chosen[:, None], 0.0, lanes.ahead),
        share=numpy.where(chosen, 1.0, lanes.share),
        tried=numpy.where(chosen, 0, lanes.tried),
        taken=numpy.where(chosen, 0, lanes.taken),
        reach=numpy.where(chosen, reach, lanes.reach),
    )


def _renewed(island: Island, place: Any, draws: Any, bounds: Any) -> Island:
    """Return the island, begun anew at random places if it has been idle for long, its best written down."""
    numpy = jax().numpy
    over = island.idle > _PATIENCE * CHAINS
    row = numpy.minimum(island.rounds, len(island.values) - 1)
    points = _anywhere(draws[:CHAINS, : island.base.shape[1]], bounds)
    everyone = numpy.broadcast_to(over, (CHAINS,))
    return island._replace(
        values=numpy.where(over, island.values.at[row].set(island.best), island.values),
        points=numpy.where(over, island.points.at[row].set(island.base[place]), island.points),
        rounds=island.rounds + over,
        lanes=_sent(island.lanes, everyone, points, numpy.full(CHAINS, _FIRST_REACH)),
        height=numpy.where(over, numpy.inf, island.height),
        best=numpy.where(over, numpy.inf, island.best),
        spread=numpy.where(over, 0.0, island.spread),
        idle=numpy.where(over, 0, island.idle),
    )


def _anywhere(uniform: Any, bounds: Any) -> Any:
    """Return points of a box from uniform numbers; of a cloud where there is no box."""
    numpy = jax().numpy
    cloud = jax().scipy.special.ndtri(numpy.clip(uniform, 1e-12, 1 - 1e-12))
    return numpy.where(numpy.isfinite(bounds[0]), uniform, cloud)


def _reflected(points: Any, bounds: Any) -> Any:
    """Return points mirrored at the bounds until they lie inside."""
    numpy = jax().numpy
    folded = numpy.mod(points, 2.0)
    return numpy.where(numpy.isfinite(bounds[0]), numpy.where(folded > 1, 2 - folded, folded), points)
