"""Where to start a fit when nobody says: a search over plausible scales.

Dimensional analysis says what each parameter is measured in, and with that about how large it may be: k in e^(−k·x) is
some power of ten around 1/x, a place on the axis of x lies where x does. Parameters that the model is linear in are
not searched at all: for each guess of the others, least squares gives them (variable projection; Golub and Pereyra,
1973). The best guesses are then fitted side by side; while few of them come to the lowest squares, good guesses are
crossed with each other and with fresh ones, and fitted again.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from downslope._engine import jax
from downslope.fitting._least_squares import is_bounded
from downslope.fitting._levenberg_marquardt import many
from downslope.fitting._model import EquationModel
from downslope.fitting._problem import FitArguments, FitProblem
from downslope.formulas import divisors, linear_names

_GUESSES = 8192
_FITTED = 48
_TRIES = 60
_ROWS = 400  # as many rows, evenly spread, tell one guess from another
_DECADES = 1.0  # the spread of guesses around the scale that the columns give, as a standard deviation
_RIDGE = 1e-13
_ROUNDS = 4
_WITNESSES = 8  # so many fits that reach the lowest squares end the search
_LEVEL = 1e-6  # of the squares
_PARENTS = 200
_OF_FIRST, _OF_SECOND = 0.5, 0.25  # shares of a crossed guess that come from its parents
_ALIKE = 0.05  # of every parameter: guesses nearer to each other are one


def search_start(
    model: EquationModel, problem: FitProblem, arguments: FitArguments, bounds: tuple[np.ndarray, np.ndarray], seed: int
) -> np.ndarray:
    """Return a start from which the fit reaches the lowest squares that were found, shape (free,).

    Args:
        model: the equation, for its dimensions.
        problem: what to fit.
        arguments: its data.
        bounds: lowest and highest value of each free parameter.
        seed: seed of the guesses.
    """
    linear = () if problem.ties else linear_names(problem.right, problem.free)
    if len(linear) == len(problem.free):
        return np.clip(np.zeros(len(linear)), *bounds)
    few = arguments.rows(np.unique(np.linspace(0, len(arguments.measured) - 1, _ROWS).round().astype(int)))
    random = np.random.default_rng(seed)
    rank, climb = _ranked(problem, linear), many(problem, _TRIES, is_bounded(bounds))
    parents = starts = ends = np.empty((0, len(problem.free)))
    squares = np.empty(0)
    for _ in range(_ROUNDS):
        guesses = _guesses(model, problem, few, bounds, random)
        if len(ends):
            guesses = _crossed(guesses, np.concatenate([parents, ends[_apart(ends, squares)]]), random)
        found, foretold = jax().device_get(rank(guesses, few, bounds))
        foretold = _or_infinite(found, foretold)
        parents = found[np.argsort(foretold)[:_PARENTS]]
        best = found[_chosen(found, foretold)]
        reached, left = jax().device_get(climb(best, few, bounds))
        starts, ends = np.concatenate([starts, best]), np.concatenate([ends, reached])
        squares = np.concatenate([squares, _or_infinite(reached, left)])
        level = np.flatnonzero(squares <= squares.min() * (1 + _LEVEL))
        if len(level) >= _WITNESSES:
            break
    return starts[level[int(np.argmin(_rates(model, problem, few, ends[level])))]]


def _or_infinite(points: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return the squares, ∞ where they or their point are no finite numbers."""
    return np.where(np.isfinite(squares) & np.all(np.isfinite(points), axis=1), squares, np.inf)


def _crossed(guesses: np.ndarray, parents: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return guesses of which half have some parameters from each of two parents, good guesses of the last round."""
    first, second = parents[random.integers(len(parents), size=(2, len(guesses)))]
    toss = random.random(guesses.shape)
    crossed = np.where(toss < _OF_FIRST, first, np.where(toss < _OF_FIRST + _OF_SECOND, second, guesses))
    return np.where((random.random(len(guesses)) < 0.5)[:, None], crossed, guesses)


def _rates(model: EquationModel, problem: FitProblem, arguments: FitArguments, ends: np.ndarray) -> np.ndarray:
    """Return how fast the curves at some ends change along the columns, shape (ends,).

    Between evenly spaced rows a fast wave can look like a slow one: of curves that fit alike, the slowest is meant.
    """
    divide = divisors(problem.right)
    total = np.zeros(len(ends))
    for place, name in enumerate(problem.free):
        for column, power in (model.dimensions[name] or {}).items():
            if column in arguments.columns and (power == -1 or (power == 1 and name in divide)):
                total += np.std(arguments.columns[column]) * np.abs(ends[:, place]) ** -power
    return total


def _guesses(
    model: EquationModel,
    problem: FitProblem,
    arguments: FitArguments,
    bounds: tuple[np.ndarray, np.ndarray],
    random: np.random.Generator,
) -> np.ndarray:
    """Return guesses of the free parameters, shape (guesses, free)."""
    columns = {**arguments.columns}
    if model.equation.measured is not None:
        columns[model.equation.measured] = arguments.measured
    drawn = [_drawn(model.dimensions[name] or {}, columns, random) for name in problem.free]
    guesses = np.column_stack(drawn)
    low, high = bounds
    outside = (guesses < low) | (guesses > high)
    both = np.isfinite(low) & np.isfinite(high)
    inside = random.uniform(np.where(both, low, 0.0), np.where(both, high, 1.0), guesses.shape)
    beyond = np.where(np.isfinite(low), low + np.abs(guesses), high - np.abs(guesses))  # of the one end there is
    return np.where(outside, np.where(both, inside, beyond), guesses)


def _drawn(powers: Any, columns: Any, random: np.random.Generator) -> np.ndarray:
    """Return guesses of a parameter that is measured in these powers of columns, shape (guesses,)."""
    size = np.ones(_GUESSES)
    for name, power in powers.items():
        column = columns.get(name, np.ones(1))
        scales = np.array([np.sqrt(np.mean(column**2)), np.std(column)])
        scales = np.where((scales > 0) & np.isfinite(scales), scales, 1.0)
        size = size * random.choice(scales, _GUESSES) ** power
    guesses = size * 10 ** random.normal(0, _DECADES, _GUESSES) * random.choice([-1.0, 1.0], _GUESSES)
    if list(powers.values()) == [1.0]:
        column = columns.get(next(iter(powers)), np.ones(1))
        places = random.uniform(column.min(), column.max(), _GUESSES)
        guesses = np.where(random.random(_GUESSES) < 0.5, places, guesses)
    return guesses


@functools.lru_cache(maxsize=64)
def _ranked(problem: FitProblem, linear: tuple[str, ...]) -> Any:
    """Return the compiled program `(guesses, arguments, bounds) → (starts, squares)`, linear parameters filled in."""
    places = np.array([problem.free.index(name) for name in linear], dtype=int)

    def run(guess: Any, arguments: FitArguments, bounds: Any) -> tuple[Any, Any]:
        numpy = jax().numpy
        free = guess
        if linear:
            without = guess.at[places].set(0.0)
            units = numpy.zeros((len(places), len(guess))).at[np.arange(len(places)), places].set(1.0)
            base = problem.predicted(without, arguments)
            slopes = jax().vmap(lambda unit: problem.predicted(without + unit, arguments) - base)(units)
            free = guess.at[places].set(
                _least_squares(slopes * arguments.weight, (arguments.measured - base) * arguments.weight)
            )
            free = numpy.clip(free, *bounds)
        rows = problem.residuals(free, arguments)
        return free, rows @ rows

    return jax().jit(jax().vmap(run, in_axes=(0, None, None)))


def _least_squares(slopes: Any, wanted: Any) -> Any:
    """Return the coefficients that bring a sum of slopes, shape (coefficients, rows), nearest to what is wanted."""
    numpy = jax().numpy
    lengths = numpy.sqrt(numpy.sum(slopes * slopes, axis=1))
    lengths = numpy.where(lengths > 0, lengths, 1.0)
    scaled = slopes / lengths[:, None]
    normal = scaled @ scaled.T + _RIDGE * numpy.eye(len(slopes))
    return numpy.linalg.solve(normal, scaled @ wanted) / lengths


def _chosen(guesses: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return the places of the guesses to fit: the best of each of many shares, and the best of all, kept apart.

    The best of all may lie in one valley.
    """
    shares = np.array_split(np.arange(len(guesses)), _FITTED // 2)
    winners = np.array([share[np.argmin(squares[share])] for share in shares])
    best = _apart(guesses, squares)
    return np.concatenate([winners, best[~np.isin(best, winners)]])[:_FITTED]


def _apart(starts: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return the places of the best guesses, those that are nearly as good and alike left out but once."""
    order = np.argsort(squares)
    left = [place for place in order[: 6 * _FITTED] if np.isfinite(squares[place])]
    chosen: list[int] = []
    while left and len(chosen) < _FITTED:
        place, *others = left
        chosen.append(place)
        with np.errstate(all="ignore"):
            away = np.abs(starts[others] - starts[place]) > _ALIKE * np.abs(starts[others]) + 1e-300
            far = np.any(away, axis=1)
        left = list(np.array(others, dtype=int)[far])
    # One shape for every fit: the rest is filled with the next best.
    rest = order[~np.isin(order, chosen)]
    return np.concatenate([np.array(chosen, dtype=int), rest])[:_FITTED]
