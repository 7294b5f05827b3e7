"""The search for initial values over plausible scales.

Dimensional analysis gives the unit of each parameter, and with it the order of magnitude: k in e^(−k·x) is about 1/x,
a position on the axis of x lies in the range of x. Parameters that the model is linear in are not searched: for each
guess of the others, linear least squares gives them (variable projection; Golub and Pereyra, 1973). The best guesses
are fitted side by side. While few of them reach the lowest squares, good guesses are crossed with each other and with
new ones, and fitted again.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from downslope._engine import jax
from downslope._numbers import evenly_spread
from downslope.fitting._least_squares import is_bounded
from downslope.fitting._levenberg_marquardt import many, many_in_numpy
from downslope.fitting._model import EquationModel
from downslope.fitting._numeric_problem import NumericProblem, is_small
from downslope.fitting._problem import FitArguments, FitProblem
from downslope.fitting._waves import Wave, waves_in
from downslope.formulas import divisors, linear_names

_GUESSES = 8192  # per round
_FITTED = 48  # of them per round
_TRIES = 60  # steps of each of these fits
_ROWS = 400  # evenly spread rows that guesses are judged by
_NUMBERS = 1 << 18  # of predictions at once, so that they stay in a cache
_DECADES = 1.0  # standard deviation of the logarithm of guesses around the scale of the columns
_RIDGE = 1e-13  # keeps the normal equations solvable for parallel columns; they are of length 1
_ROUNDS = 4
_WITNESSES = 8  # fits at the lowest squares that end the search
_LEVEL = 1e-6  # of the squares: fits nearer to each other are equally good
_PARENTS = 200  # best guesses of a round that the next one crosses
_OF_FIRST, _OF_SECOND = 0.5, 0.25  # shares of a crossed guess from its two parents; the rest is new
_ALIKE = 0.05  # relative distance in every parameter below which two guesses count as the same


def search_start(
    model: EquationModel, problem: FitProblem, arguments: FitArguments, bounds: tuple[np.ndarray, np.ndarray], seed: int
) -> np.ndarray:
    """Search for a start from which the fit reaches the lowest squares, shape (free,).

    Args:
        model: the equation, for its dimensions.
        problem: the residuals.
        arguments: the data.
        bounds: lowest and highest value of each free parameter.
        seed: seed of the guesses.
    """
    # A model that is linear in all parameters has one minimum: any start will do.
    linear = () if problem.ties else linear_names(problem.right, problem.free)
    if len(linear) == len(problem.free):
        return np.clip(np.zeros(len(linear)), *bounds)
    random = np.random.default_rng(seed)
    waves = waves_in(model, problem.free, arguments)
    count = len(arguments.measured)
    # Of evenly spread rows, a fast wave can equal a slow one (aliasing); of rows at random it cannot.
    spread = np.sort(random.permutation(count)[:_ROWS]) if waves else evenly_spread(count, _ROWS)
    few = arguments.rows(spread)
    rank, climb = _searching(problem, linear, few, bounds)
    parents = starts = ends = np.empty((0, len(problem.free)))
    squares = np.empty(0)
    for _ in range(_ROUNDS):
        guesses = drawn_guesses(model, problem, few, bounds, random, waves)
        if len(ends):
            guesses = _crossed(guesses, np.concatenate([parents, ends[_apart(ends, squares)]]), random)
        completed, squares_before = rank(guesses)
        squares_before = _or_infinite(completed, squares_before)
        parents = completed[np.argsort(squares_before)[:_PARENTS]]
        best = completed[_chosen(completed, squares_before)]
        reached, left = climb(best)
        starts, ends = np.concatenate([starts, best]), np.concatenate([ends, reached])
        squares = np.concatenate([squares, _or_infinite(reached, left)])
        level = np.flatnonzero(squares <= squares.min() * (1 + _LEVEL))
        if len(level) >= _WITNESSES:
            break
    # The start is returned and not the end, so that the user sees the descent from it.
    return starts[level[int(np.argmin(rates_of(model, problem, few, ends[level])))]]


def _searching(problem: FitProblem, linear: tuple[str, ...], few: FitArguments, bounds: Any) -> tuple[Any, Any]:
    """Return two functions of points: to points with the linear parameters filled in, and to the ends of fits.

    Both return the squares of these as well.
    """
    bounded = is_bounded(bounds)
    if is_small(few):
        numeric = NumericProblem(problem, few)
        positions = np.array([problem.free.index(name) for name in linear], dtype=int)
        return (
            lambda guesses: _ranked_in_numpy(numeric, few, positions, guesses, bounds),
            lambda starts: many_in_numpy(numeric.linearised, starts, bounds, bounded, _TRIES)[:2],
        )
    rank, climb = _ranked(problem, linear), many(problem, _TRIES, bounded)
    return (
        lambda guesses: jax().device_get(rank(guesses, few, bounds)),
        lambda starts: jax().device_get(climb(starts, few, bounds)),
    )


def _ranked_in_numpy(
    numeric: NumericProblem, few: FitArguments, positions: np.ndarray, guesses: np.ndarray, bounds: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Return the guesses with the linear parameters filled in, and their squares."""
    free = guesses
    if len(positions):
        pieces = np.array_split(guesses, -(-len(guesses) * len(few.measured) // _NUMBERS))
        free = np.concatenate([_completed(numeric, few, positions, piece) for piece in pieces])
        free = np.clip(free, *bounds)
    return free, numeric.squares(free)


def _completed(numeric: NumericProblem, few: FitArguments, positions: np.ndarray, guesses: np.ndarray) -> np.ndarray:
    """Return guesses with their linear parameters by least squares."""
    without = np.array(guesses)
    without[:, positions] = 0.0
    with np.errstate(all="ignore"):
        base = numeric.predicted(without)
        slopes = []
        for position in positions:
            unit = np.array(without)
            unit[:, position] = 1.0
            slopes.append(numeric.predicted(unit) - base)
        target = (few.measured - base) * few.weight
        without[:, positions] = _least_squares(np, np.stack(slopes, axis=1) * few.weight, target)
    return without


def _or_infinite(points: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return the squares, ∞ where they or their point are not finite."""
    return np.where(np.isfinite(squares) & np.all(np.isfinite(points), axis=1), squares, np.inf)


def _crossed(guesses: np.ndarray, parents: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return guesses of which half are crossed with two of the parents, good guesses of the last round."""
    first, second = parents[random.integers(len(parents), size=(2, len(guesses)))]
    toss = random.random(guesses.shape)
    crossed = np.where(toss < _OF_FIRST, first, np.where(toss < _OF_FIRST + _OF_SECOND, second, guesses))
    return np.where((random.random(len(guesses)) < 0.5)[:, None], crossed, guesses)


def rates_of(model: EquationModel, problem: FitProblem, arguments: FitArguments, ends: np.ndarray) -> np.ndarray:
    """Return a measure of how fast the curve at each end varies along the columns, shape (ends,).

    On evenly spaced rows a fast wave can equal a slow one (aliasing): of equally good curves the slowest is taken.
    """
    divide = divisors(problem.right)
    total = np.zeros(len(ends))
    for index, name in enumerate(problem.free):
        for column, power in (model.dimensions[name] or {}).items():
            if column in arguments.columns and (power == -1 or (power == 1 and name in divide)):
                total += np.std(arguments.columns[column]) * np.abs(ends[:, index]) ** -power
    return total


def drawn_guesses(
    model: EquationModel,
    problem: FitProblem,
    arguments: FitArguments,
    bounds: tuple[np.ndarray, np.ndarray],
    random: np.random.Generator,
    waves: Mapping[str, Wave] | None = None,
) -> np.ndarray:
    """Draw guesses of the free parameters, shape (guesses, free)."""
    columns = {**arguments.columns}
    if model.equation.measured is not None:
        columns[model.equation.measured] = arguments.measured
    drawn = [_drawn_as(model, name, columns, random) for name in problem.free]
    for name, wave in (waves or {}).items():
        index = problem.free.index(name)
        drawn[index] = wave.mixed_into(drawn[index], random)
    guesses = np.column_stack(drawn)
    low, high = bounds
    outside = (guesses < low) | (guesses > high)
    both = np.isfinite(low) & np.isfinite(high)
    inside = random.uniform(np.where(both, low, 0.0), np.where(both, high, 1.0), guesses.shape)
    beyond = np.where(np.isfinite(low), low + np.abs(guesses), high - np.abs(guesses))  # one bound only
    return np.where(outside, np.where(both, inside, beyond), guesses)


def _drawn_as(model: EquationModel, name: str, columns: Any, random: np.random.Generator) -> np.ndarray:
    """Draw guesses of a parameter; where nothing is known of its dimension, some of each that parameters often have."""
    powers = model.dimensions[name]
    if powers is not None:
        return _drawn(powers, columns, random)
    measured = model.equation.measured
    of_left = {measured: 1.0} if measured is not None else {}
    kinds: list[dict[str, float]] = [{}, of_left]
    for column in model.equation.right.columns:
        kinds += [{column: 1.0}, {column: -1.0}, {**of_left, column: -1.0}]
    drawn = np.array([_drawn(kind, columns, random) for kind in kinds])
    return drawn[random.integers(len(kinds), size=drawn.shape[1]), np.arange(drawn.shape[1])]


def _drawn(powers: Any, columns: Any, random: np.random.Generator) -> np.ndarray:
    """Draw guesses of a parameter whose dimension is a product of powers of columns, shape (guesses,)."""
    size = np.ones(_GUESSES)
    for name, power in powers.items():
        column = columns.get(name, np.ones(1))
        # Both the size of a column and its spread: years from 1990 to 2000 are about 2000 and vary by 3.
        scales = np.array([np.sqrt(np.mean(column**2)), np.std(column)])
        scales = np.where((scales > 0) & np.isfinite(scales), scales, 1.0)
        size = size * random.choice(scales, _GUESSES) ** power
    guesses = size * 10 ** random.normal(0, _DECADES, _GUESSES) * random.choice([-1.0, 1.0], _GUESSES)
    if list(powers.values()) == [1.0]:
        column = columns.get(next(iter(powers)), np.ones(1))
        # With the dimension of a column it may be a position among its values: the centre of a peak, a threshold.
        positions = random.uniform(column.min(), column.max(), _GUESSES)
        guesses = np.where(random.random(_GUESSES) < 0.5, positions, guesses)
    return guesses


@functools.lru_cache(maxsize=64)
def _ranked(problem: FitProblem, linear: tuple[str, ...]) -> Any:
    """Return the compiled program `(guesses, arguments, bounds) → (starts, squares)`; it fills in linear parameters."""
    positions = np.array([problem.free.index(name) for name in linear], dtype=int)

    def run(guess: Any, arguments: FitArguments, bounds: Any) -> tuple[Any, Any]:
        numpy = jax().numpy
        free = guess
        if linear:
            units = np.eye(len(problem.free))[positions]
            chosen = units.any(axis=0)
            without = numpy.where(chosen, 0.0, guess)
            # A model linear in these is base + Σ cᵢ·slopeᵢ; the slopes are differences, exact but for rounding.
            base = problem.predicted(without, arguments)
            slopes = jax().vmap(lambda unit: problem.predicted(without + unit, arguments) - base)(numpy.asarray(units))
            target = (arguments.measured - base) * arguments.weight
            free = numpy.where(chosen, _least_squares(numpy, slopes * arguments.weight, target) @ units, guess)
            free = numpy.clip(free, *bounds)
        rows = problem.residuals(free, arguments)
        return free, rows @ rows

    return jax().jit(jax().vmap(run, in_axes=(0, None, None)))


def _least_squares(numpy: ModuleType, slopes: Any, target: Any) -> Any:
    """Return the coefficients of slopes, shape (…, coefficients, rows), whose sum is nearest to the target, (…, rows).

    A target that no finite slopes reach has NaN as coefficients.
    """
    # The normal equations: guesses need few digits, and thousands of small systems are solved at once.
    lengths = numpy.sqrt(numpy.sum(slopes * slopes, axis=-1))
    lengths = numpy.where(lengths > 0, lengths, 1.0)
    scaled = slopes / lengths[..., None]
    identity = numpy.eye(slopes.shape[-2])
    normal = numpy.matmul(scaled, numpy.swapaxes(scaled, -1, -2)) + _RIDGE * identity
    # NumPy refuses a system that is not finite, together with all others.
    finite = numpy.all(numpy.isfinite(normal), axis=(-2, -1))[..., None, None]
    solved = numpy.linalg.solve(numpy.where(finite, normal, identity), numpy.matmul(scaled, target[..., None]))
    return numpy.where(finite, solved, numpy.nan)[..., 0] / lengths


def _chosen(guesses: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return the indices of the guesses to fit: the best of each of many batches, then the best of all that differ.

    The best of all may lie in one basin; those of the batches are spread over several.
    """
    batches = np.array_split(np.arange(len(guesses)), _FITTED // 2)
    winners = np.array([batch[np.argmin(squares[batch])] for batch in batches])
    best = _apart(guesses, squares)
    return np.concatenate([winners, best[~np.isin(best, winners)]])[:_FITTED]


def _apart(starts: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return the indices of the best guesses, each at some distance from all better ones."""
    order = np.argsort(squares)
    left = [index for index in order[: 6 * _FITTED] if np.isfinite(squares[index])]
    chosen: list[int] = []
    while left and len(chosen) < _FITTED:
        best, *others = left
        chosen.append(best)
        with np.errstate(all="ignore"):
            away = np.abs(starts[others] - starts[best]) > _ALIKE * np.abs(starts[others]) + 1e-300
            far = np.any(away, axis=1)
        left = list(np.array(others, dtype=int)[far])
    # Compiled programs take one shape: the rest is filled with the next best.
    rest = order[~np.isin(order, chosen)]
    return np.concatenate([np.array(chosen, dtype=int), rest])[:_FITTED]
