"""Levenberg and Marquardt's method as one compiled program, and as one program for many starts.

A step δ minimises ‖r + Jδ‖² + μ‖Dδ‖², with r the residuals, J their Jacobian and D the largest length that each column
of J has had: what a parameter is measured in changes nothing. The damping μ falls where the squares fell as foreseen,
and rises where they did not. The step is solved by a QR decomposition of J on top of √μ·D, which keeps the digits that
JᵀJ would lose. Parameters at a bound that they press against are held there.

References: Moré, "The Levenberg-Marquardt algorithm: implementation and theory", 1978; Nielsen, "Damping parameter in
Marquardt's method", 1999.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from downslope._engine import jax
from downslope.fitting._problem import FitArguments, FitProblem

_FIRST_DAMPING = 1e-3
_SMALLEST_DAMPING = 1e-20
_LARGEST_DAMPING = 1e30
_STILL = 1e-14  # a step so small against the point moves nothing that can be told
_FLAT = 1e-18  # nor does one that gains so little of the squares


class MarquardtState(NamedTuple):
    """Where the method stands.

    Args:
        free: shape (free,).
        residuals: shape (rows,).
        jacobian: shape (rows, free).
        squares: half the sum of the squared residuals.
        scale: D, shape (free,).
        damping: μ.
        growth: what μ is multiplied by when a step fails.
        tried: steps tried.
        taken: steps that were accepted.
        still: whether nothing is left to gain.
    """

    free: Any
    residuals: Any
    jacobian: Any
    squares: Any
    scale: Any
    damping: Any
    growth: Any
    tried: Any
    taken: Any
    still: Any


class AcceptedSteps(NamedTuple):
    """What every accepted step left behind, a row each, the start being row 0.

    Args:
        free: shape (capacity, free).
        gradient: Jᵀr, shape (capacity, free).
        squares: shape (capacity,).
    """

    free: Any
    gradient: Any
    squares: Any


@functools.lru_cache(maxsize=64)
def recorded(problem: FitProblem, capacity: int, bounded: bool) -> Any:
    """Return the compiled program `(free, arguments, bounds, most) → (MarquardtState, AcceptedSteps, Hessian)`.

    The Hessian is that of half the squares at the end, shape (free, free).

    Args:
        problem: what to fit.
        capacity: rows of the record; `most`, the steps to try, must be below it.
        bounded: whether any bound is finite.
    """

    def run(free: Any, arguments: FitArguments, bounds: Any, most: Any) -> tuple[MarquardtState, AcceptedSteps, Any]:
        numpy, lax = jax().numpy, jax().lax
        state = _begin(problem, free, arguments)
        room = AcceptedSteps(
            numpy.zeros((capacity, len(problem.free))),
            numpy.zeros((capacity, len(problem.free))),
            numpy.zeros(capacity),
        )

        def step(carry: tuple[MarquardtState, AcceptedSteps]) -> tuple[MarquardtState, AcceptedSteps]:
            state = _step(problem, carry[0], arguments, bounds, bounded)
            return state, _write(carry[1], state)

        state, record = lax.while_loop(
            lambda carry: ~carry[0].still & (carry[0].tried < most),
            step,
            (state, _write(room, state)),
        )
        hessian = jax().hessian(lambda at: _half_squares(problem.residuals(at, arguments)))(state.free)
        return state, record, hessian

    return jax().jit(run)


@functools.lru_cache(maxsize=64)
def many(problem: FitProblem, tries: int, bounded: bool) -> Any:
    """Return the compiled program `(starts, arguments, bounds) → (ends, squares)` for many starts side by side."""

    def run(free: Any, arguments: FitArguments, bounds: Any) -> tuple[Any, Any]:
        def step(state: MarquardtState, _: None) -> tuple[MarquardtState, None]:
            return _step(problem, state, arguments, bounds, bounded), None

        state, _ = jax().lax.scan(step, _begin(problem, free, arguments), None, length=tries)
        return state.free, state.squares

    return jax().jit(jax().vmap(run, in_axes=(0, None, None)))


def _begin(problem: FitProblem, free: Any, arguments: FitArguments) -> MarquardtState:
    """Return the state at the start."""
    numpy = jax().numpy
    residuals, jacobian = _linearised(problem, free, arguments)
    squares = _half_squares(residuals)
    return MarquardtState(
        free,
        residuals,
        jacobian,
        squares,
        _lengths(jacobian),
        numpy.asarray(_FIRST_DAMPING),
        numpy.asarray(2.0),
        numpy.asarray(0),
        numpy.asarray(0),
        ~numpy.isfinite(squares),
    )


def _step(
    problem: FitProblem, state: MarquardtState, arguments: FitArguments, bounds: Any, bounded: bool
) -> MarquardtState:
    """Try one step, and take it where the squares fall, or where they stay and the gradient falls."""
    numpy = jax().numpy
    low, high = bounds
    gradient = state.jacobian.T @ state.residuals
    held = ((state.free <= low) & (gradient > 0)) | ((state.free >= high) & (gradient < 0))
    jacobian = numpy.where(held, 0.0, state.jacobian)
    reached = state.free + _solved(jacobian, state.residuals, state)
    if bounded:
        # Those that would leave go to their bound, and the others are solved for again, knowing that.
        leaves = (reached < low) | (reached > high)
        partway = numpy.where(leaves, numpy.clip(reached, low, high) - state.free, 0.0)
        rest = _solved(numpy.where(leaves, 0.0, jacobian), state.residuals + jacobian @ partway, state)
        reached = numpy.clip(state.free + numpy.where(leaves, partway, rest), low, high)
    reached = numpy.where(numpy.isfinite(reached), reached, state.free)
    change = reached - state.free
    ahead = jacobian @ change
    foreseen = -(state.residuals @ ahead) - ahead @ ahead / 2
    residuals, after = _linearised(problem, reached, arguments)
    squares = _half_squares(residuals)
    gain = (state.squares - squares) / numpy.where(foreseen > 0, foreseen, 1.0)
    level = numpy.abs(squares - state.squares) <= 4e-16 * state.squares
    finer = _steepness(after, residuals, held) < _steepness(state.jacobian, state.residuals, held)
    good = numpy.isfinite(squares) & numpy.all(numpy.isfinite(after)) & ((squares < state.squares) | (level & finer))
    scale = numpy.maximum(state.scale, _lengths(after))
    small = numpy.all(numpy.abs(change) <= _STILL * (numpy.abs(state.free) + _STILL))
    still = small | (numpy.abs(foreseen) <= _FLAT * state.squares) | (~good & (state.damping >= _LARGEST_DAMPING))
    shrink = numpy.maximum(1 / 3, 1 - (2 * gain - 1) ** 3)
    taken = MarquardtState(
        reached,
        residuals,
        after,
        squares,
        scale,
        numpy.maximum(state.damping * shrink, _SMALLEST_DAMPING),
        numpy.asarray(2.0),
        state.tried + 1,
        state.taken + 1,
        still,
    )
    refused = state._replace(
        damping=state.damping * state.growth, growth=state.growth * 2, tried=state.tried + 1, still=still
    )
    chosen = jax().tree.map(lambda new, old: numpy.where(good, new, old), taken, refused)
    return jax().tree.map(lambda new, old: numpy.where(state.still, old, new), chosen, state)


def _solved(jacobian: Any, residuals: Any, state: MarquardtState) -> Any:
    """Return the δ that minimises ‖r + Jδ‖² + μ‖Dδ‖²."""
    numpy = jax().numpy
    count = jacobian.shape[1]
    rows = numpy.concatenate([jacobian / state.scale, numpy.sqrt(state.damping) * numpy.eye(count)])
    right = numpy.concatenate([-residuals, numpy.zeros(count)])
    upper = numpy.linalg.qr(numpy.column_stack([rows, right]), mode="r")
    return jax().scipy.linalg.solve_triangular(upper[:count, :count], upper[:count, count]) / state.scale


def _linearised(problem: FitProblem, free: Any, arguments: FitArguments) -> tuple[Any, Any]:
    """Return the residuals and their Jacobian."""

    def residuals(at: Any) -> tuple[Any, Any]:
        rows = problem.residuals(at, arguments)
        return rows, rows

    jacobian, rows = jax().jacfwd(residuals, has_aux=True)(free)
    return rows, jacobian


def _steepness(jacobian: Any, residuals: Any, held: Any) -> Any:
    """Return the largest slope of the squares along a column of J, over that column's length."""
    numpy = jax().numpy
    slopes = numpy.abs(jacobian.T @ residuals) / _lengths(jacobian)
    return numpy.max(numpy.where(held, 0.0, slopes))


def _lengths(jacobian: Any) -> Any:
    """Return the length of each column, 1 for one of zeros."""
    numpy = jax().numpy
    lengths = numpy.sqrt(numpy.sum(jacobian * jacobian, axis=0))
    return numpy.where((lengths > 0) & numpy.isfinite(lengths), lengths, 1.0)


def _half_squares(residuals: Any) -> Any:
    """Return half the sum of squares."""
    return residuals @ residuals / 2


def _write(record: AcceptedSteps, state: MarquardtState) -> AcceptedSteps:
    """Write the row of the last accepted step; a refused one writes the same row again."""
    return AcceptedSteps(
        record.free.at[state.taken].set(state.free),
        record.gradient.at[state.taken].set(state.jacobian.T @ state.residuals),
        record.squares.at[state.taken].set(state.squares),
    )
