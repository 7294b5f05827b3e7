"""Forks: the first steps of a plan at other rates, to be looked at and thrown away.

The rate is an argument of the plan's own compiled program, so that neither another rate nor another rate at each step
compiles anything. The schedule runs as it does in the whole plan. Nothing of the plan is touched: points, memory and
random keys are values, and the order of examples follows from the seed and the number of the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from downslope._engine import precision
from downslope.descent._curvature import scaled_highest
from downslope.descent._descend import Prepared, descend, next_piece, prepared
from downslope.descent._piece import Piece, piece_of
from downslope.descent._plan import Plan, Record
from downslope.descent._recipe import Given, given_of
from downslope.descent.batches._descent import BatchDescent
from downslope.trace import Outcome, Spectrum

_FOREVER = 1e30  # a budget at which every schedule stands at its beginning


@dataclass(frozen=True, eq=False)
class Fork:
    """The first steps of a plan at another rate.

    Args:
        values: the loss at each step taken, the start's first, shape (rows,); of each step's own batch where there are
            batches. Those of a plan that records every k-th step only are k steps apart.
        steps: steps taken.
        finite: whether all of it was finite.
    """

    values: np.ndarray
    steps: int
    finite: bool


def fork(made: Plan, learning_rate: float, steps: int) -> Fork:
    """Return the first steps of a plan at another rate.

    Args:
        made: the plan.
        learning_rate: the rate that the schedule's factor applies to; at 0 the point stays where it is, and the losses
            are those of the start on each step's batch.
        steps: the most steps to take.
    """
    rate = np.float64(learning_rate)
    with precision(made.objective.precision):
        return (_fork_whole if made.objective.batched is None else _fork_batches)(made, rate, steps)


def range_test(made: Plan, learning_rates: Sequence[float], enough: Callable[[list[float]], bool]) -> np.ndarray:
    """Return the losses of one descent whose rate is another at each step, whatever the plan's schedule.

    Args:
        made: the plan.
        learning_rates: the rate of each step.
        enough: told the losses so far, whether to stop.

    Returns:
        The loss at the start and after each step taken, shape (steps + 1,); it ends before one that is not finite.

    References: Smith, "Cyclical learning rates for training neural networks", 2017.
    """
    with precision(made.objective.precision):
        walk = (_walk_whole if made.objective.batched is None else _walk_batches)(made, learning_rates)
        losses: list[float] = []
        for loss in walk:
            if not math.isfinite(loss) or enough(losses):
                break
            losses.append(loss)
        return np.array(losses)


def sharpness(made: Plan, learning_rate: float, steps: int) -> tuple[Spectrum, ...]:
    """Return the Hessian's ends at the start of a plan and after so many steps at a rate.

    Args:
        made: the plan.
        learning_rate: the rate, above 0.
        steps: how many; 0 for the start alone.

    Returns:
        One or two spectra; of batches on a sample of the examples, and none at all where there is nothing to sample.
    """
    with precision(made.objective.precision):
        if made.objective.batched is not None:
            return _looks_at_batches(made, learning_rate, steps)
    return _looks_at_whole(made, learning_rate, steps)


def _at_beginning(given: Given, rate: float) -> Given:
    """Return the arguments of a step at a rate that the schedule leaves as it is."""
    course = {name: np.float64(_FOREVER if name == "every" else 1.0) for name in given.course}
    return given._replace(rate=np.float64(rate), course=course, budget=np.float64(_FOREVER))


# --- objectives that are seen whole -----------------------------------------------------------------------------------


def _fork_whole(made: Plan, rate: np.float64, steps: int) -> Fork:
    """Return a fork of a plan without batches."""
    values, piece = _taken(made, rate, steps)
    return Fork(values, piece.step, piece.outcome is not Outcome.NOT_FINITE)


def _taken(made: Plan, rate: np.float64, steps: int) -> tuple[np.ndarray, Piece]:
    """Return the losses of the first steps of a plan without batches, and the last piece of them."""
    ready, values, piece = prepared(made), [], None
    given = ready.given._replace(rate=rate)
    while piece is None or (piece.unfinished and piece.step < steps):
        count = min(ready.first_size, steps - (piece.step if piece is not None else 0))
        piece = _next(ready, piece, count, given)
        values.append(piece.columns["value"] if not values else piece.columns["value"][1:])
    return np.concatenate(values), piece


def _looks_at_whole(made: Plan, rate: float, steps: int) -> tuple[Spectrum, ...]:
    """Return the curvature at the start of a plan without batches and after some steps."""
    record = Record(made.record.every, made.record.curvature, True)
    looks = descend(replace(made, learning_rate=rate, record=record, steps=steps), progress=False).spectra
    if made.is_small or len(looks) < 2:
        return looks
    with precision(made.objective.precision):
        _, piece = _taken(made, np.float64(rate), steps)
    if piece.preconditioner is None:
        return looks
    highest = scaled_highest(made.objective, piece.point, piece.preconditioner)
    return looks[0], replace(looks[1], preconditioned_highest=highest)


def _walk_whole(made: Plan, rates: Sequence[float]) -> Iterator[float]:
    """Yield the loss at the start and after each step of a plan without batches."""
    ready, piece = prepared(made), None
    for rate in rates:
        piece = _next(ready, piece, 1, _at_beginning(ready.given, rate))
        if len(piece.columns["value"]) == 1 or not piece.unfinished:
            break
        if piece.step == 1:
            yield float(piece.columns["value"][0])
        yield piece.value


def _next(ready: Prepared, piece: Piece | None, count: int, given: Given) -> Piece:
    """Return the piece of the next steps, or of the first ones."""
    if piece is not None:
        return next_piece(ready, piece, count, given)
    chunk = ready.program.begin(ready.start, ready.zero, np.int64(count), given)
    return piece_of(ready.program, chunk, count, given, ready.start)


# --- objectives over batches ------------------------------------------------------------------------------------------


def _begun(made: Plan, probe_every: int = 0) -> BatchDescent:
    """Return a training at its beginning."""
    assert made.batches is not None
    return BatchDescent(replace(made, batches=replace(made.batches, probe_every=probe_every)), given_of(made), None)


def _fork_batches(made: Plan, rate: np.float64, steps: int) -> Fork:
    """Return a fork of a plan over batches; its last value is of the point reached, on the batch after it."""
    run = _begun(made)
    given = run.given._replace(rate=rate)
    most, values, state, taken, finite = run.recipe.capacity, [], run.state, 0, True
    try:
        while finite and taken < steps + 1:
            count = min(most, steps + 1 - taken)
            examples, order = run.source.chunk(taken, count)
            chunk = run.program.run(state, np.int32(count), examples, order, given)
            finite, state, done = bool(chunk.finite), chunk.state, int(chunk.taken)
            values.append(np.asarray(chunk.every_step, float)[0, :done])
            taken += done
    finally:
        run.source.close()
    return Fork(np.concatenate(values), min(taken, steps), finite)


def _walk_batches(made: Plan, rates: Sequence[float]) -> Iterator[float]:
    """Yield the losses of a plan over batches, each of the batch that comes at its step."""
    run = _begun(made)
    state = run.state
    try:
        for step, rate in enumerate((*rates, rates[-1])):
            examples, order = run.source.chunk(step, 1)
            chunk = run.program.run(state, np.int32(1), examples, order, _at_beginning(run.given, rate))
            yield float(np.asarray(chunk.every_step)[0, 0]) if bool(chunk.finite) else math.nan
            state = chunk.state
    finally:
        run.source.close()


def _looks_at_batches(made: Plan, rate: float, steps: int) -> tuple[Spectrum, ...]:
    """Return the curvature at the start of a training and after some steps."""
    run = _begun(made, probe_every=1)
    try:
        if run.probe is None:
            return ()
        state, settings = run.state, run.given.settings
        first, _ = run.probe.look(state.point, state.memory, 0, None, None)
        if not steps:
            return (first,)
        examples, order = run.source.chunk(0, steps)
        chunk = run.program.run(state, np.int32(steps), examples, order, _at_beginning(run.given, rate))
        state = chunk.state
        scale = None if run.program.scale is None else run.program.scale(state.rule, settings)
        last = first if np.all(np.isfinite(first.eigenvalues)) else None
        return first, run.probe.look(state.point, state.memory, steps, last, scale)[0]
    finally:
        run.source.close()
