"""The update rules of the table, written in the array interface, and the scales that some of them divide by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from downslope._arrays import Arrays
from downslope._engine import jax
from downslope._types import Point
from downslope.methods._line_search import searched
from downslope.methods._noise import normal
from downslope.methods._spec import Direction, RuleInput
from downslope.methods._theory import Settings


def gradient(settings: Settings) -> Direction:
    """Return the gradient itself as the direction."""
    return Direction(lambda arrays, point: (), lambda arrays, step, state: (step.gradient, state))


def noisy_gradient(settings: Settings) -> Direction:
    """Return ∇f + ε, ε normal of standard deviation `noise` / (1 + t)^(`noise_decay` / 2).

    References: Neelakantan et al., "Adding gradient noise improves learning for very deep networks", 2015.
    """

    def update(arrays: Arrays, step: RuleInput, count: Any) -> tuple[Point, Any]:
        deviation = settings["noise"] / (1.0 + count) ** (settings["noise_decay"] / 2)

        def noisy(slope: Any, offset: int) -> Any:
            return slope + deviation * normal(arrays.numpy, settings["seed"], count, offset, slope)

        return arrays.map(noisy, step.gradient, arrays.offsets(step.gradient)), count + 1

    return Direction(_count, update)


class TraceState(NamedTuple):
    """The running sum of gradients."""

    trace: Point


def momentum(settings: Settings, *, ahead: bool = False) -> Direction:
    """Return m ← ∇f + β·m; ∇f + β·m of the new m where the gradient is taken a step ahead."""
    beta = settings["momentum"]

    def update(arrays: Arrays, step: RuleInput, state: TraceState) -> tuple[Point, Any]:
        trace = arrays.map(lambda slope, before: slope + beta * before, step.gradient, state.trace)
        uphill = arrays.map(lambda slope, after: slope + beta * after, step.gradient, trace) if ahead else trace
        return uphill, TraceState(trace)

    return Direction(lambda arrays, point: TraceState(_zeros(arrays, point)), update)


def nesterov(settings: Settings) -> Direction:
    """Return Nesterov's momentum."""
    return momentum(settings, ahead=True)


class SquaresState(NamedTuple):
    """The sum of squared gradients."""

    sum_of_squares: Point


def adagrad(settings: Settings) -> Direction:
    """Return ∇f / √(Σ∇f² + ε)."""

    def update(arrays: Arrays, step: RuleInput, state: SquaresState) -> tuple[Point, Any]:
        numpy = arrays.numpy
        totals = arrays.map(lambda slope, total: slope * slope + total, step.gradient, state.sum_of_squares)
        uphill = arrays.map(
            lambda slope, total: numpy.where(total > 0, slope / numpy.sqrt(total + settings["epsilon"]), 0.0),
            step.gradient,
            totals,
        )
        return uphill, SquaresState(totals)

    def init(arrays: Arrays, point: Point) -> SquaresState:
        return SquaresState(arrays.map(lambda leaf: arrays.numpy.full_like(leaf, settings["initial"]), point))

    return Direction(init, update)


class MeanSquareState(NamedTuple):
    """The running mean of squared gradients."""

    nu: Point


def rmsprop(settings: Settings) -> Direction:
    """Return ∇f / √(ν + ε), ν the running mean of squares."""

    def update(arrays: Arrays, step: RuleInput, state: MeanSquareState) -> tuple[Point, Any]:
        means = arrays.map(_mean_of_squares(settings["decay"]), step.gradient, state.nu)
        uphill = arrays.map(
            lambda slope, mean: slope / arrays.numpy.sqrt(mean + settings["epsilon"]), step.gradient, means
        )
        return uphill, MeanSquareState(means)

    return Direction(lambda arrays, point: MeanSquareState(_zeros(arrays, point)), update)


class MomentsState(NamedTuple):
    """The running means of gradients and of their squares."""

    count: Any
    mu: Point
    nu: Point


def adam(settings: Settings) -> Direction:
    """Return μ̂ / (√ν̂ + ε): the running means of gradients and of squares, their bias corrected."""
    beta1, beta2 = settings["beta1"], settings["beta2"]

    def init(arrays: Arrays, point: Point) -> MomentsState:
        return MomentsState(_count(arrays, point), _zeros(arrays, point), _zeros(arrays, point))

    def update(arrays: Arrays, step: RuleInput, state: MomentsState) -> tuple[Point, Any]:
        count = state.count + 1
        mu = arrays.map(_mean(beta1), step.gradient, state.mu)
        nu = arrays.map(_mean_of_squares(beta2), step.gradient, state.nu)
        of_mean, of_squares = 1 - beta1**count, 1 - beta2**count

        def uphill(mean: Any, squares: Any) -> Any:
            root = arrays.numpy.sqrt(squares / _typed(of_squares, squares))
            return mean / _typed(of_mean, mean) / (root + settings["epsilon"])

        return arrays.map(uphill, mu, nu), MomentsState(count, mu, nu)

    return Direction(init, update)


class SignState(NamedTuple):
    """The running mean of gradients."""

    count: Any
    mu: Point


def lion(settings: Settings) -> Direction:
    """Return the sign of a mean of the gradient and its running mean, which β₂ keeps longer than β₁ weighs it."""

    def update(arrays: Arrays, step: RuleInput, state: SignState) -> tuple[Point, Any]:
        mixed = arrays.map(_mean(settings["beta1"]), step.gradient, state.mu)
        mu = arrays.map(_mean(settings["beta2"]), step.gradient, state.mu)
        return arrays.map(arrays.numpy.sign, mixed), SignState(state.count + 1, mu)

    return Direction(lambda arrays, point: SignState(_count(arrays, point), _zeros(arrays, point)), update)


def _mean(share: Any) -> Callable[[Any, Any], Any]:
    return lambda slope, before: (1 - share) * slope + share * before


def _mean_of_squares(share: Any) -> Callable[[Any, Any], Any]:
    return lambda slope, before: (1 - share) * slope**2 + share * before


def _count(arrays: Arrays, point: Point) -> Any:
    return arrays.numpy.zeros((), "int32")


def _zeros(arrays: Arrays, point: Point) -> Point:
    return arrays.map(arrays.numpy.zeros_like, point)


def _typed(number: Any, like: Any) -> Any:
    """Return a number in the precision of an array: a correction computed in a higher one must not widen it."""
    return number.astype(like.dtype) if hasattr(number, "astype") else number


# A scale must be the very divisor of the direction beside it: ε inside the root for Adagrad and RMSprop, outside for
# Adam. Near a minimum, where the squares vanish, the two differ by orders of magnitude. A record of the user's own has
# a scale of this form too, so that it is not told the array interface: an array knows its own.


def adagrad_scale(state: Any, settings: Settings) -> Point:
    """Return √(sum of squares + ε) as Adagrad divides by it."""
    return _roots(state.sum_of_squares, lambda total: total + settings["epsilon"], 0.0)


def rmsprop_scale(state: Any, settings: Settings) -> Point:
    """Return √(ν + ε), ν the running mean of squares."""
    return _roots(state.nu, lambda mean: mean + settings["epsilon"], 0.0)


def adam_scale(state: Any, settings: Settings) -> Point:
    """Return √ν̂ + ε, with ν̂ the running mean of squares, its bias corrected."""
    count = state.count + (state.count == 0)  # before the first step ν is 0, not 0 / 0
    corrected = 1 - settings["beta2"] ** count
    return _roots(state.nu, lambda mean: mean / corrected, settings["epsilon"])


def _roots(squares: Point, inside: Callable[[Any], Any], added: Any) -> Point:
    def root(leaf: Any) -> Any:
        return leaf.__array_namespace__().sqrt(inside(leaf)) + added

    return root(squares) if hasattr(squares, "__array_namespace__") else jax().tree.map(root, squares)


# Newton, BFGS and L-BFGS: a direction, then a line search along it.


_FLATTEST = 1e-10  # eigenvalues below this share of the largest are lifted to it: √ε would hide a real narrow valley


def newton(settings: Settings) -> Direction:
    """Return −|H|⁻¹∇f, |H| with the eigenvalues' absolute values, with a line search."""

    def update(arrays: Arrays, step: RuleInput, state: Any) -> tuple[Point, Any]:
        numpy = arrays.numpy
        slope, back = arrays.flat(step.gradient)
        # |H| has the eigenvectors of H: along those that curve downward the step goes away from the saddle.
        eigenvalues, directions = arrays.eigh(arrays.hessian(step.value_function, step.point))
        bends = numpy.abs(eigenvalues)
        floor = numpy.maximum(_FLATTEST * numpy.max(bends), numpy.finfo(slope.dtype).tiny)
        downhill = -directions @ ((directions.T @ slope) / numpy.maximum(bends, floor))
        return searched(arrays, step, back(downhill)), state

    return Direction(lambda arrays, point: (), update)


_FARTHEST = 1e6  # times the size of the point, at least 1: the longest first step of BFGS


class _Secant(NamedTuple):
    """The state of BFGS: the inverse Hessian's estimate, the last point and the gradient there."""

    inverse_hessian: Any
    coordinates: Any
    slope: Any
    count: Any


def bfgs(settings: Settings) -> Direction:
    """Return −B∇f with B the BFGS estimate of the inverse Hessian, with a line search."""

    def init(arrays: Arrays, point: Point) -> _Secant:
        flat, _ = arrays.flat(point)
        numpy = arrays.numpy
        return _Secant(numpy.eye(flat.size, dtype=flat.dtype), flat, numpy.zeros_like(flat), numpy.zeros((), int))

    def update(arrays: Arrays, step: RuleInput, state: _Secant) -> tuple[Point, Any]:
        flat, back = arrays.flat(step.point)
        slope, _ = arrays.flat(step.gradient)
        inverse = _updated_inverse(arrays.numpy, state, flat - state.coordinates, slope - state.slope)
        numpy = arrays.numpy
        # The first step is as long as the gradient. Far beyond the size of the point it is cut, since the trials of a
        # line search shorten a step by nine digits at most.
        farthest, steepness = _FARTHEST * numpy.maximum(1.0, numpy.linalg.norm(flat)), numpy.linalg.norm(slope)
        cut = numpy.where((state.count == 0) & (steepness > farthest), farthest / numpy.maximum(steepness, 1.0), 1.0)
        return searched(arrays, step, back(-cut * (inverse @ slope))), _Secant(inverse, flat, slope, state.count + 1)

    return Direction(init, update)


def _updated_inverse(numpy: Any, state: _Secant, moved: Any, bent: Any) -> Any:
    """Return the estimate after a step s with gradient change y; unchanged where sᵀy is not positive."""
    product = moved @ bent
    # sᵀy > 0 keeps the estimate positive definite; a zoom search ends there, unless rounding or its 30 trials run out.
    positive = product > 1e-14 * numpy.linalg.norm(moved) * numpy.linalg.norm(bent)
    safe = numpy.where(positive, product, 1.0)
    # Before the first update the estimate is 1; sᵀy / yᵀy is the size of the inverse curvature along the step taken
    # (Nocedal and Wright 2006, equation 6.20).
    scale = numpy.where(state.count == 1, safe / numpy.maximum(bent @ bent, numpy.finfo(bent.dtype).tiny), 1.0)
    before = state.inverse_hessian * scale
    keep = numpy.eye(len(moved), dtype=moved.dtype) - numpy.outer(moved, bent) / safe
    after = keep @ before @ keep.T + numpy.outer(moved, moved) / safe
    return numpy.where(positive & (state.count > 0), after, state.inverse_hessian)


class _Memory(NamedTuple):
    """The state of L-BFGS: the last point, the gradient there, and the last steps with their changes of gradient.

    Steps stand in the memory in turn, the one of step k at index k modulo the memory; weights are 1 / sᵀy, 0 for none.
    """

    count: Any
    point: Point
    slope: Point
    steps: Point
    changes: Point
    weights: Any


def l_bfgs(settings: Settings) -> Direction:
    """Return −B∇f, B the inverse Hessian by the last few steps, with a line search.

    References: Nocedal and Wright, Numerical Optimization, 2006, algorithm 7.4.
    """
    size = int(settings["memory"])

    def init(arrays: Arrays, point: Point) -> _Memory:
        numpy, zeros = arrays.numpy, _zeros(arrays, point)
        rows = arrays.map(lambda leaf: numpy.zeros((size, *leaf.shape), leaf.dtype), point)
        return _Memory(_count(arrays, point), zeros, zeros, rows, rows, numpy.zeros(size))

    def update(arrays: Arrays, step: RuleInput, state: _Memory) -> tuple[Point, Any]:
        state = _remembered(arrays, step, state, size)
        last = (state.count - 2) % size
        moved, bent = _row(arrays, state.steps, last), _row(arrays, state.changes, last)
        numpy, length = arrays.numpy, arrays.inner(bent, bent)
        # The first step is at most 1 long; later ones are scaled by the inverse curvature along the last one.
        first = numpy.minimum(1.0, 1.0 / numpy.sqrt(arrays.inner(step.gradient, step.gradient)))
        later = numpy.where(length > 0, arrays.inner(bent, moved) / length, 1.0)
        uphill = _applied(arrays, state, step.gradient, numpy.where(state.count > 1, later, first), size)
        return searched(arrays, step, arrays.map(lambda up: -up, uphill)), state

    return Direction(init, update)


def _remembered(arrays: Arrays, step: RuleInput, state: _Memory, size: int) -> _Memory:
    """Return the memory with the step that led here; there is none at the start."""
    numpy, index, known = arrays.numpy, (state.count - 1) % size, state.count > 0

    def difference(after: Any, before: Any) -> Any:
        return numpy.where(known, after - before, 0.0)

    moved = arrays.map(difference, step.point, state.point)
    bent = arrays.map(difference, step.gradient, state.slope)
    product = arrays.inner(bent, moved)
    weight = numpy.where(known & (product != 0.0), 1.0 / numpy.where(product == 0.0, 1.0, product), 0.0)

    def put(rows: Any, row: Any) -> Any:
        return arrays.put(rows, index, row)

    return _Memory(
        state.count + 1,
        step.point,
        step.gradient,
        arrays.map(put, state.steps, moved),
        arrays.map(put, state.changes, bent),
        arrays.put(state.weights, index, weight),
    )


def _applied(arrays: Arrays, state: _Memory, slope: Point, scale: Any, size: int) -> Point:
    """Return the inverse Hessian of a memory times a gradient: through the steps back, then forward."""
    oldest = (state.count - 1) % size

    def back(number: Any, carry: tuple[Point, Any]) -> tuple[Point, Any]:
        vector, shares = carry
        index = (oldest + (size - 1 - number)) % size
        share = state.weights[index] * arrays.inner(_row(arrays, state.steps, index), vector)
        vector = arrays.map(lambda entry, bent: entry - share * bent, vector, _row(arrays, state.changes, index))
        return vector, arrays.put(shares, index, share)

    def forward(number: Any, carry: tuple[Point, Any]) -> tuple[Point, Any]:
        vector, shares = carry
        index = (oldest + number) % size
        share = shares[index] - state.weights[index] * arrays.inner(_row(arrays, state.changes, index), vector)
        vector = arrays.map(lambda entry, moved: entry + share * moved, vector, _row(arrays, state.steps, index))
        return vector, shares

    vector, shares = arrays.repeat(size, back, (slope, arrays.numpy.zeros_like(state.weights)))
    vector = arrays.map(lambda entry: scale * entry, vector)
    return arrays.repeat(size, forward, (vector, shares))[0]


def _row(arrays: Arrays, rows: Point, index: Any) -> Point:
    return arrays.map(lambda leaf: leaf[index], rows)
