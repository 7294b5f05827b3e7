"""The Levenberg–Marquardt method, from one start with its record, and from many starts in parallel.

A step is written once, for NumPy and JAX; all of its arrays may have the starts as their first axis.

With r the residuals and J their Jacobian, half the squares are ‖r + Jδ‖²/2 to first order in a step δ. Minimising that
alone is the Gauss–Newton step; it is far too long where J is nearly singular or r bends. So a step minimises

    ‖r + Jδ‖² + μ‖Dδ‖²,        (JᵀJ + μD²) δ = −Jᵀr,

with D diagonal, the largest length that each column of J has had, so that the units of a parameter do not matter. For
μ → 0 it is the Gauss–Newton step, for μ → ∞ a short step along −D⁻²Jᵀr, downhill in units of each parameter's effect.
μ falls where the squares fell as predicted, and rises where they did not. Parameters at a bound that the gradient
pushes them against are held there.

References: Moré, "The Levenberg-Marquardt algorithm: implementation and theory", 1978; Nielsen, "Damping parameter in
Marquardt's method", 1999.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from downslope._engine import jax
from downslope.fitting._problem import FitArguments, FitProblem

_FIRST_DAMPING = 1e-3  # in units of D²: the first step is nearly Gauss–Newton's
_SMALLEST_DAMPING = 1e-20  # √μ = 1e-10 still separates directions that J, with its 16 digits, cannot
_LARGEST_DAMPING = 1e30  # a step of 1e-30 that still fails: no step will succeed
_STILL = 1e-14  # a relative step below it changes no digit that matters
_FLAT = 1e-18  # a predicted decrease below this share of the squares is rounding: (1e-9)², as squares go
_SETTLED = 1e-11  # of the squares: a decrease by less ends a refit
_LEVEL = 2e-15  # of the squares: what a sum of some dozen rounded squares may differ by


class MarquardtState(NamedTuple):
    """The state between two steps.

    Args:
        free: the free parameters, shape (free,).
        residuals: shape (rows,).
        jacobian: shape (rows, free).
        squares: half the sum of the squared residuals.
        scale: D, shape (free,).
        damping: μ.
        growth: the factor on μ when a step fails.
        tried: number of steps tried.
        taken: number of steps accepted.
        still: whether the method has converged.
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
    """One row per accepted step; row 0 is the start.

    Args:
        free: shape (capacity, free).
        gradient: Jᵀr, shape (capacity, free).
        squares: shape (capacity,).
    """

    free: Any
    gradient: Any
    squares: Any


Linearised = Callable[[Any], tuple[Any, Any]]


@functools.lru_cache(maxsize=64)
def recorded(problem: FitProblem, capacity: int, bounded: bool) -> Any:
    """Return the compiled program `(free, arguments, bounds, most) → (MarquardtState, AcceptedSteps, Hessian)`.

    The Hessian is that of half the squares at the end, shape (free, free).

    Args:
        problem: the residuals.
        capacity: rows of the record; `most`, the number of steps to try, must be below it.
        bounded: whether any bound is finite.
    """

    def run(free: Any, arguments: FitArguments, bounds: Any, most: Any) -> tuple[MarquardtState, AcceptedSteps, Any]:
        numpy, lax = jax().numpy, jax().lax
        linearised = _in_jax(problem, arguments)
        state = _begin(numpy, linearised, free)
        room = AcceptedSteps(
            numpy.zeros((capacity, len(problem.free))),
            numpy.zeros((capacity, len(problem.free))),
            numpy.zeros(capacity),
        )

        # The rows are written in the loop, into arrays of a fixed size, as shapes in a compiled program are fixed. The
        # capacity is a power of two, so that fits of many lengths share a program.
        def step(carry: tuple[MarquardtState, AcceptedSteps]) -> tuple[MarquardtState, AcceptedSteps]:
            state = _step(numpy, linearised, carry[0], bounds, bounded)
            return state, _write(carry[1], state)

        state, record = lax.while_loop(
            lambda carry: ~carry[0].still & (carry[0].tried < most),
            step,
            (state, _write(room, state)),
        )
        # The full second derivative, not JᵀJ: the trace reports curvature as every other trace does.
        hessian = jax().hessian(lambda at: _half_squares(numpy, problem.residuals(at, arguments)))(state.free)
        return state, record, hessian

    return jax().jit(run)


def recorded_in_numpy(
    linearised: Linearised, free: np.ndarray, bounds: Any, bounded: bool, most: int
) -> tuple[MarquardtState, AcceptedSteps]:
    """Return the state at the end and the accepted steps.

    Args:
        linearised: residuals and Jacobian at a point.
        free: the start, shape (free,).
        bounds: lowest and highest value of each free parameter.
        bounded: whether any bound is finite.
        most: the number of steps to try.
    """
    with np.errstate(all="ignore"):
        state = _begin(np, linearised, free)
        accepted = [state]
        while not state.still and state.tried < most:
            state = _step(np, linearised, state, bounds, bounded)
            if state.taken == len(accepted):
                accepted.append(state)
        return state, AcceptedSteps(
            np.array([row.free for row in accepted]),
            np.array([row.jacobian.T @ row.residuals for row in accepted]),
            np.array([row.squares for row in accepted], dtype=float),
        )


@functools.lru_cache(maxsize=64)
def many(problem: FitProblem, tries: int, bounded: bool) -> Any:
    """Return the compiled program `(starts, arguments, bounds) → (ends, squares)` over many starts side by side."""

    def run(free: Any, arguments: FitArguments, bounds: Any) -> tuple[Any, Any]:
        numpy, linearised = jax().numpy, _in_jax(problem, arguments)

        def step(state: MarquardtState, _: None) -> tuple[MarquardtState, None]:
            return _step(numpy, linearised, state, bounds, bounded), None

        # A fixed number of steps: under vmap a while_loop runs until its slowest lane ends and then selects between old
        # and new states in every step anyway, so nothing would be saved by testing for the end.
        state, _ = jax().lax.scan(step, _begin(numpy, linearised, free), None, length=tries)
        return state.free, state.squares

    return jax().jit(jax().vmap(run, in_axes=(0, None, None)))


def many_in_numpy(
    linearised: Linearised, starts: np.ndarray, bounds: Any, bounded: bool, tries: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ends from many starts side by side, shape (starts, free), half their squares, and which converged."""
    with np.errstate(all="ignore"):
        state = _begin(np, linearised, starts)
        for _ in range(tries):
            if state.still.all():
                break
            state = _step(np, linearised, state, bounds, bounded)
        return state.free, state.squares, state.still


def refitted(
    linearised: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    starts: np.ndarray,
    bounds: Any,
    bounded: bool,
    tries: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return ends and half their squares of fits that begin near their ends, shapes (starts, free) and (starts,).

    A lane ends when a step lowers its squares by no more than rounding: squares, not parameters, are what is wanted.

    Args:
        linearised: residuals and Jacobian at points and the indices of their lanes, as each lane has its own.
        starts: shape (starts, free).
        bounds: lowest and highest value of each free parameter.
        bounded: whether any bound is finite.
        tries: the number of steps to try.
    """
    ends, squares = np.array(starts, float), np.full(len(starts), np.nan)
    lanes = np.arange(len(starts))
    with np.errstate(all="ignore"):
        state = _begin(np, lambda free: linearised(free, lanes), ends)
        for _ in range(tries):
            if 2 * np.count_nonzero(state.still) >= len(lanes):
                # Half of the lanes have ended: the others go on alone, instead of computing all of them in vain.
                ends[lanes], squares[lanes] = state.free, state.squares
                going = ~state.still
                lanes, state = lanes[going], MarquardtState(*(part[going] for part in state))
            if not len(lanes):
                return ends, squares
            before, taken = state.squares, state.taken
            state = _step(np, lambda free, lanes=lanes: linearised(free, lanes), state, bounds, bounded)
            settled = (state.taken > taken) & (before - state.squares <= _SETTLED * before)
            state = state._replace(still=state.still | settled)
        ends[lanes], squares[lanes] = state.free, state.squares
        return ends, squares


def _begin(numpy: ModuleType, linearised: Linearised, free: Any) -> MarquardtState:
    """Return the state at the start; one whose squares or slopes are not finite counts as still, and goes nowhere."""
    residuals, jacobian = linearised(free)
    squares = _half_squares(numpy, residuals)
    return MarquardtState(
        free,
        residuals,
        jacobian,
        squares,
        _lengths(numpy, jacobian),
        numpy.full_like(squares, _FIRST_DAMPING),
        numpy.full_like(squares, 2.0),
        numpy.zeros_like(squares, int),
        numpy.zeros_like(squares, int),
        ~(numpy.isfinite(squares) & numpy.all(numpy.isfinite(jacobian), axis=(-2, -1))),
    )


def _step(
    numpy: ModuleType, linearised: Linearised, state: MarquardtState, bounds: Any, bounded: bool
) -> MarquardtState:
    """Try one step; accept it where the squares fall, or where they stay and the gradient falls."""
    low, high = bounds
    gradient = _against(numpy, state.jacobian, state.residuals)
    # A column of zeros has the solution 0, so a held parameter stays and the others are solved for without it.
    held = ((state.free <= low) & (gradient > 0)) | ((state.free >= high) & (gradient < 0))
    jacobian = numpy.where(held[..., None, :], 0.0, state.jacobian)
    reached = state.free + _solved(numpy, jacobian, state.residuals, state)
    if bounded:
        # Clipping the step alone would leave the other parameters where the clipped ones were still to help them. So
        # those that would leave go to their bound first, which changes the residuals by J·partway, and the others are
        # solved for again from there.
        leaves = (reached < low) | (reached > high)
        partway = numpy.where(leaves, numpy.clip(reached, low, high) - state.free, 0.0)
        rest = _solved(
            numpy,
            numpy.where(leaves[..., None, :], 0.0, jacobian),
            state.residuals + _along(numpy, jacobian, partway),
            state,
        )
        reached = numpy.clip(state.free + numpy.where(leaves, partway, rest), low, high)
    # A column of zeros without damping would divide 0 by 0: such a parameter has no effect here and stays.
    reached = numpy.where(numpy.isfinite(reached), reached, state.free)
    change = reached - state.free
    # The decrease of ‖r‖²/2 that the linear model predicts: −rᵀJδ − ‖Jδ‖²/2. It is computed from the step as taken,
    # since after bounds and clipping the shorter formula for an exact solution no longer holds.
    linear_change = _along(numpy, jacobian, change)
    predicted = -numpy.sum(state.residuals * linear_change, axis=-1) - _half_squares(numpy, linear_change)
    residuals, after = linearised(reached)
    squares = _half_squares(numpy, residuals)
    gain = (state.squares - squares) / numpy.where(predicted > 0, predicted, 1.0)
    # Near the end the squares agree to their last digits while the parameters can still gain some: a parameter's error
    # goes with the root of that of the squares. There the largest scaled gradient decides instead.
    level = numpy.abs(squares - state.squares) <= _LEVEL * state.squares
    finer = _steepness(numpy, after, residuals, held) < _steepness(numpy, state.jacobian, state.residuals, held)
    good = (
        numpy.isfinite(squares)
        & numpy.all(numpy.isfinite(after), axis=(-2, -1))
        & ((squares < state.squares) | (level & finer))
    )
    # D never shrinks (Moré): if a column vanishes for a moment, its parameter must not be sent to infinity.
    scale = numpy.maximum(state.scale, _lengths(numpy, after))
    small = numpy.all(numpy.abs(change) <= _STILL * (numpy.abs(state.free) + _STILL), axis=-1)
    still = small | (numpy.abs(predicted) <= _FLAT * state.squares) | (~good & (state.damping >= _LARGEST_DAMPING))
    # Nielsen's rule. gain = 1: the linear model was right, μ falls to a third; 1/2: μ stays; → 0: μ doubles.
    # The cubic between has no jumps; thresholds (÷10 above 3/4, ×10 below 1/4) make μ oscillate. In a row of failures
    # the factor itself doubles, 2, 4, 8, …, so that even a hopeless start comes to short steps within few tries.
    shrink = numpy.maximum(1 / 3, 1 - (2 * gain - 1) ** 3)
    taken = MarquardtState(
        reached,
        residuals,
        after,
        squares,
        scale,
        numpy.maximum(state.damping * shrink, _SMALLEST_DAMPING),
        numpy.full_like(state.growth, 2.0),
        state.tried + 1,
        state.taken + 1,
        still,
    )
    refused = state._replace(
        damping=state.damping * state.growth, growth=state.growth * 2, tried=state.tried + 1, still=still
    )
    # Both outcomes are computed and one is selected: each of many lanes decides for itself. A lane that has converged
    # keeps its state, as the others go on.
    chosen = _selected(numpy, good, taken, refused)
    return _selected(numpy, state.still, state, chosen)


def _selected(numpy: ModuleType, holds: Any, first: MarquardtState, second: MarquardtState) -> MarquardtState:
    """Return the first state where a condition on lanes holds, the second elsewhere."""

    def selected(new: Any, old: Any) -> Any:
        return numpy.where(holds.reshape(holds.shape + (1,) * (new.ndim - holds.ndim)), new, old)

    return MarquardtState(*map(selected, first, second))


def _solved(numpy: ModuleType, jacobian: Any, residuals: Any, state: MarquardtState) -> Any:
    """Return the δ that minimises ‖r + Jδ‖² + μ‖Dδ‖².

    In ε = Dδ it is the least-squares problem [J D⁻¹; √μ I] ε ≈ [−r; 0]. With its matrix written as QR, R ε = Qᵀ[−r; 0].
    Cholesky's decomposition of JᵀJ + μD² would be cheaper, but the condition number of JᵀJ is that of J squared: with
    columns that are parallel to 8 digits, as in sums of exponentials, no digit of the step would be left.
    """
    count = jacobian.shape[-1]
    damped = numpy.sqrt(state.damping)[..., None, None] * numpy.eye(count)
    # The right side is decomposed as one more column: its part of R is Qᵀ[−r; 0], and Q itself is never formed.
    above = numpy.concatenate([jacobian / state.scale[..., None, :], -residuals[..., None]], axis=-1)
    below = numpy.concatenate([damped, numpy.zeros_like(damped[..., :1])], axis=-1)
    upper = numpy.linalg.qr(numpy.concatenate([above, below], axis=-2), mode="r")
    # R is small and triangular: the unknowns from the last to the first.
    unknowns: list[Any] = []
    for row in reversed(range(count)):
        known = sum(upper[..., row, row + 1 + k] * unknown for k, unknown in enumerate(unknowns))
        unknowns.insert(0, (upper[..., row, count] - known) / upper[..., row, row])
    return numpy.stack(unknowns, axis=-1) / state.scale


def _in_jax(problem: FitProblem, arguments: FitArguments) -> Linearised:
    """Return the function from a point to residuals, shape (rows,), and their Jacobian, shape (rows, free)."""

    def residuals(at: Any) -> tuple[Any, Any]:
        rows = problem.residuals(at, arguments)
        return rows, rows

    def linearised(free: Any) -> tuple[Any, Any]:
        # Forward mode: a fit has few parameters and many rows, and its cost goes with the parameters.
        jacobian, rows = jax().jacfwd(residuals, has_aux=True)(free)
        return rows, jacobian

    return linearised


def _against(numpy: ModuleType, jacobian: Any, rows: Any) -> Any:
    """Return Jᵀr."""
    return numpy.matmul(rows[..., None, :], jacobian)[..., 0, :]


def _along(numpy: ModuleType, jacobian: Any, change: Any) -> Any:
    """Return Jδ."""
    return numpy.matmul(jacobian, change[..., None])[..., 0]


def _steepness(numpy: ModuleType, jacobian: Any, residuals: Any, held: Any) -> Any:
    """Return the largest |cos| of the angle between the residuals and a column of J, times ‖r‖; 0 at a minimum."""
    slopes = numpy.abs(_against(numpy, jacobian, residuals)) / _lengths(numpy, jacobian)
    return numpy.max(numpy.where(held, 0.0, slopes), axis=-1)


def _lengths(numpy: ModuleType, jacobian: Any) -> Any:
    """Return the length of each column, shape (free,); 1 for a column of zeros, so that it can be divided by."""
    lengths = numpy.sqrt(numpy.sum(jacobian * jacobian, axis=-2))
    return numpy.where((lengths > 0) & numpy.isfinite(lengths), lengths, 1.0)


def _half_squares(numpy: ModuleType, residuals: Any) -> Any:
    """Return half the sum of squares."""
    return numpy.sum(residuals * residuals, axis=-1) / 2


def _write(record: AcceptedSteps, state: MarquardtState) -> AcceptedSteps:
    """Write the row of the last accepted step; after a refused step the same row is written again, unchanged."""
    return AcceptedSteps(
        record.free.at[state.taken].set(state.free),
        record.gradient.at[state.taken].set(state.jacobian.T @ state.residuals),
        record.squares.at[state.taken].set(state.squares),
    )
