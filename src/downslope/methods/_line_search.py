"""The zoom line search: a step length with a sufficient decrease and a small slope (strong Wolfe conditions).

A length is doubled until an interval is known to hold such a length; the interval is then narrowed by cubic and
quadratic interpolation and bisection. Close to a minimum, where the decrease drowns in rounding, the slope decides
instead (Hager and Zhang). It is the search of Optax's `scale_by_zoom_linesearch`, in the array interface.

References: Nocedal and Wright, Numerical Optimization, 2006, algorithms 3.5 and 3.6; Hager and Zhang, Algorithm 851:
CG_DESCENT, 2006.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from downslope._arrays import Arrays
from downslope._types import Point
from downslope.methods._spec import RuleInput

_MOST_TRIALS = 30
_DECREASE = 1e-4  # of what the slope promises: the least decrease
_FLATTENING = 0.9  # the largest slope that may be left, of the first
_CLOSE = 1e-6  # of the value: below it the slope decides on the decrease
_NARROWEST = 1e-5  # an interval below it is not searched further once a length that goes down is known


class _Line(NamedTuple):
    """The constants of a line search: its starting point and its direction."""

    step: RuleInput
    direction: Point
    slope: Any


class _Trial(NamedTuple):
    """A length along the line, with the value and the slope there."""

    length: Any
    value: Any
    slope: Any


class _Search(NamedTuple):
    """The state of a search.

    Args:
        count: trials so far.
        latest: the last trial.
        bracketed: whether `low` and `high` are the ends of an interval that holds a good length.
        done, failed: whether it has ended.
        low: the best end of the interval.
        high: the other end.
        third: a further point of the cubic.
        safe: the lowest trial with a sufficient decrease; of length 0 while there is none.
    """

    count: Any
    latest: _Trial
    bracketed: Any
    done: Any
    failed: Any
    low: _Trial
    high: _Trial
    third: _Trial
    safe: _Trial


def searched(arrays: Arrays, step: RuleInput, direction: Point) -> Point:
    """Return a direction times the length that the line search finds along it.

    Args:
        arrays: the array interface.
        step: where the line begins.
        direction: which way it goes, downhill.
    """
    numpy = arrays.numpy
    line = _Line(step, direction, arrays.inner(direction, step.gradient))
    here = _Trial(numpy.zeros_like(step.value), step.value, line.slope)
    no = numpy.zeros_like(step.value, bool)
    state = _Search(numpy.zeros((), int), here, no, no, no, here, here, here, here)
    state = arrays.loop(
        lambda search: ~(search.done | search.failed), lambda search: _next(arrays, line, search), state
    )
    return arrays.map(lambda along: state.latest.length * along, direction)


def _next(arrays: Arrays, line: _Line, search: _Search) -> _Search:
    """Try the next length; the longer ones until an interval is known, then lengths within it."""
    length = arrays.branch(
        search.bracketed,
        lambda: _within(arrays, search),
        # The whole step first: near a minimum it is the one that converges fast.
        lambda: arrays.choose(
            search.count == 0, arrays.numpy.ones_like(search.latest.length), 2.0 * search.latest.length
        ),
    )
    point = arrays.map(lambda leaf, along: leaf + length * along, line.step.point, line.direction)
    value, gradient = arrays.value_and_gradient(line.step.value_function, point)
    trial = _Trial(length, value, arrays.inner(gradient, line.direction))
    lacking = _lacking_decrease(arrays, line, trial)
    good = (lacking <= 0) & (_lacking_flatness(arrays, line, trial) <= 0)
    after = arrays.branch(
        search.bracketed,
        lambda: _narrowed(arrays, search, trial, lacking, good),
        lambda: _lengthened(arrays, search, trial, lacking, good),
    )
    # Without a good length in time: the lowest one that goes down, or none at all where the last is higher or outside
    # the domain.
    lost = arrays.numpy.isinf(lacking) | (trial.value > line.step.value + _CLOSE * abs(line.step.value))
    fallback = arrays.choose((after.safe.length > 0) | lost, after.safe, trial)
    return after._replace(latest=arrays.choose(after.failed, fallback, trial))


def _lengthened(arrays: Arrays, search: _Search, trial: _Trial, lacking: Any, good: Any) -> _Search:
    """Return the search after a trial beyond all earlier ones (algorithm 3.5)."""
    previous = search.latest
    too_far = (lacking > 0) | ((trial.value >= previous.value) & (search.count > 0))
    rising = (trial.slope >= 0) & ~too_far
    low, high = arrays.choose(rising, (trial, previous), (previous, trial))
    return _Search(
        search.count + 1,
        trial,
        too_far | rising | good,
        good,
        (search.count + 1 >= _MOST_TRIALS) & ~good,
        low,
        high,
        low,
        arrays.choose(lacking <= 0, trial, search.safe),
    )


def _narrowed(arrays: Arrays, search: _Search, trial: _Trial, lacking: Any, good: Any) -> _Search:
    """Return the search after a trial within the interval (algorithm 3.6)."""
    low, high = search.low, search.high
    safe = arrays.choose((lacking <= 0) & (trial.value < search.safe.value), trial, search.safe)
    worse = (lacking > 0) | (trial.value >= low.value)
    crossed = (trial.slope * (high.length - low.length) >= 0) & ~worse
    narrow = (abs(high.length - low.length) <= _NARROWEST) & (safe.length > 0)
    return _Search(
        search.count + 1,
        trial,
        search.bracketed,
        good,
        ((search.count + 1 >= _MOST_TRIALS) | narrow) & ~good,
        arrays.choose(worse, low, trial),
        arrays.choose(crossed, low, arrays.choose(worse, trial, high)),
        arrays.choose(worse | crossed, high, low),
        safe,
    )


def _within(arrays: Arrays, search: _Search) -> Any:
    """Return a length within the interval: the minimum of a cubic, else of a parabola, else the middle."""
    numpy, low, high = arrays.numpy, search.low, search.high
    left, right = numpy.minimum(low.length, high.length), numpy.maximum(low.length, high.length)
    width = right - left
    cubic, parabola = _of_cubic(numpy, low, high, search.third), _of_parabola(low, high)
    length = arrays.choose(
        (parabola > left + 0.1 * width) & (parabola < right - 0.1 * width), parabola, (low.length + high.length) / 2.0
    )
    return arrays.choose((cubic > left + 0.2 * width) & (cubic < right - 0.2 * width), cubic, length)


def _of_cubic(numpy: Any, low: _Trial, high: _Trial, third: _Trial) -> Any:
    """Return the minimum of the cubic through three points with the slope of the first; NaN if it has none."""
    b, c = high.length - low.length, third.length - low.length
    above_b, above_c = high.value - low.value - low.slope * b, third.value - low.value - low.slope * c
    divisor = (b * c) ** 2 * (b - c)
    cubic = (c**2 * above_b - b**2 * above_c) / divisor
    square = (b**3 * above_c - c**3 * above_b) / divisor
    return low.length + (-square + numpy.sqrt(square * square - 3.0 * cubic * low.slope)) / (3.0 * cubic)


def _of_parabola(low: _Trial, high: _Trial) -> Any:
    """Return the minimum of the parabola through two points with the slope of the first."""
    width = high.length - low.length
    square = (high.value - low.value - low.slope * width) / width**2
    return low.length - low.slope / (2.0 * square)


def _lacking_decrease(arrays: Arrays, line: _Line, trial: _Trial) -> Any:
    """Return by how much a trial falls short of a sufficient decrease; ∞ where its value is not a number."""
    numpy = arrays.numpy
    value, slope = line.step.value, line.slope
    by_value = trial.value - value - _DECREASE * trial.length * slope
    by_slope = trial.slope - (2 * _DECREASE - 1.0) * slope
    by_slope = numpy.maximum(by_slope, trial.value - value - _CLOSE * abs(value))
    return _or_infinite(numpy, numpy.minimum(by_slope, by_value))


def _lacking_flatness(arrays: Arrays, line: _Line, trial: _Trial) -> Any:
    """Return by how much the slope that is left exceeds what may be left."""
    return _or_infinite(arrays.numpy, abs(trial.slope) - _FLATTENING * abs(line.slope))


def _or_infinite(numpy: Any, shortfall: Any) -> Any:
    shortfall = numpy.maximum(shortfall, 0.0)
    return numpy.where(numpy.isnan(shortfall), numpy.inf, shortfall)
