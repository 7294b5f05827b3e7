"""Short runs of a plan at other rates: the learning-rate range test, and the first steps at one rate.

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
from downslope.descent._chunk_result import ChunkResult, result_of
from downslope.descent._curvature import scaled_highest
from downslope.descent._descend import Prepared, descend, next_result, prepared
from downslope.descent._plan import Plan, Record
from downslope.descent._recipe import Arguments, arguments_of
from downslope.descent.batches._descent import BatchDescent
from downslope.trace import Outcome, Spectrum

_FOREVER = 1e30  # a budget at which every schedule stands at its beginning


@dataclass(frozen=True, eq=False)
class ShortRun:
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


def short_run(plan: Plan, learning_rate: float, steps: int) -> ShortRun:
    """Return the first steps of a plan at another rate.

    Args:
        plan: the plan.
        learning_rate: the rate that the schedule's factor applies to; at 0 the point stays where it is, and the losses
            are those of the start on each step's batch.
        steps: the maximum number of steps.
    """
    rate = np.float64(learning_rate)
    with precision(plan.objective.precision):
        return (_short_run_whole if plan.objective.batched is None else _short_run_batches)(plan, rate, steps)


def range_test(plan: Plan, learning_rates: Sequence[float], enough: Callable[[list[float]], bool]) -> np.ndarray:
    """Return the losses of one descent whose rate is another at each step, whatever the plan's schedule.

    Args:
        plan: the plan.
        learning_rates: the rate of each step.
        enough: from the losses so far, whether to stop.

    Returns:
        The loss at the start and after each step taken, shape (steps + 1,); it ends before one that is not finite.

    References: Smith, "Cyclical learning rates for training neural networks", 2017.
    """
    with precision(plan.objective.precision):
        walk = (_walk_whole if plan.objective.batched is None else _walk_batches)(plan, learning_rates)
        losses: list[float] = []
        for loss in walk:
            if not math.isfinite(loss) or enough(losses):
                break
            losses.append(loss)
        return np.array(losses)


def sharpness(plan: Plan, learning_rate: float, steps: int) -> tuple[Spectrum, ...]:
    """Return the Hessian's ends at the start of a plan and after so many steps at a rate.

    Args:
        plan: the plan.
        learning_rate: the rate, above 0.
        steps: how many; 0 for the start alone.

    Returns:
        One or two spectra; of batches on a sample of the examples, and none at all where there is nothing to sample.
    """
    with precision(plan.objective.precision):
        if plan.objective.batched is not None:
            return _looks_at_batches(plan, learning_rate, steps)
    return _looks_at_whole(plan, learning_rate, steps)


def _at_beginning(arguments: Arguments, rate: float) -> Arguments:
    """Return the arguments of a step at a rate that the schedule leaves as it is."""
    # `every` is never reached, and `factor` and `warm_up` leave the rate alone: a step schedule is at step 0, a warm-up
    # over one step is done, and a decay over 1e30 steps has not begun.
    course = {name: np.float64(_FOREVER if name == "every" else 1.0) for name in arguments.course}
    return arguments._replace(rate=np.float64(rate), course=course, budget=np.float64(_FOREVER))


# --- objectives that are seen whole -----------------------------------------------------------------------------------


def _short_run_whole(plan: Plan, rate: np.float64, steps: int) -> ShortRun:
    """Return a short run of a plan without batches."""
    values, result = _taken(plan, rate, steps)
    return ShortRun(values, result.step, result.outcome is not Outcome.NOT_FINITE)


def _taken(plan: Plan, rate: np.float64, steps: int) -> tuple[np.ndarray, ChunkResult]:
    """Return the losses of the first steps of a plan without batches, and the last piece of them."""
    ready, values, result = prepared(plan), [], None
    arguments = ready.arguments._replace(rate=rate)
    while result is None or (result.unfinished and result.step < steps):
        count = min(ready.first_size, steps - (result.step if result is not None else 0))
        result = _next(ready, result, count, arguments)
        values.append(result.columns["value"] if not values else result.columns["value"][1:])
    return np.concatenate(values), result


def _looks_at_whole(plan: Plan, rate: float, steps: int) -> tuple[Spectrum, ...]:
    """Return the curvature at the start of a plan without batches and after some steps."""
    record = Record(plan.record.every, plan.record.curvature, True)
    looks = descend(replace(plan, learning_rate=rate, record=record, steps=steps), progress=False).spectra
    if plan.is_small or len(looks) < 2:
        return looks
    with precision(plan.objective.precision):
        _, result = _taken(plan, np.float64(rate), steps)
    if result.preconditioner is None:
        return looks
    highest = scaled_highest(plan.objective, result.point, result.preconditioner)
    return looks[0], replace(looks[1], preconditioned_highest=highest)


def _walk_whole(plan: Plan, rates: Sequence[float]) -> Iterator[float]:
    """Yield the loss at the start and after each step of a plan without batches."""
    ready, result = prepared(plan), None
    for rate in rates:
        result = _next(ready, result, 1, _at_beginning(ready.arguments, rate))
        if len(result.columns["value"]) == 1 or not result.unfinished:
            break
        if result.step == 1:
            yield float(result.columns["value"][0])
        yield result.value


def _next(ready: Prepared, result: ChunkResult | None, count: int, arguments: Arguments) -> ChunkResult:
    """Return the piece of the next steps, or of the first ones."""
    if result is not None:
        return next_result(ready, result, count, arguments)
    chunk = ready.program.begin(ready.start, ready.zero, np.int64(count), arguments)
    return result_of(ready.program, chunk, count, arguments, ready.start)


# --- objectives over batches ------------------------------------------------------------------------------------------


def _begun(plan: Plan, probe_every: int = 0) -> BatchDescent:
    """Return a training at its beginning."""
    assert plan.batches is not None
    return BatchDescent(replace(plan, batches=replace(plan.batches, probe_every=probe_every)), arguments_of(plan), None)


def _short_run_batches(plan: Plan, rate: np.float64, steps: int) -> ShortRun:
    """Return a short run of a plan over batches; its last value is of the point reached, on the batch after it."""
    run = _begun(plan)
    arguments = run.arguments._replace(rate=rate)
    most, values, state, taken, finite = run.recipe.capacity, [], run.state, 0, True
    try:
        while finite and taken < steps + 1:
            count = min(most, steps + 1 - taken)
            examples, order = run.source.chunk(taken, count)
            chunk = run.program.run(state, np.int32(count), examples, order, arguments)
            finite, state, done = bool(chunk.finite), chunk.state, int(chunk.taken)
            values.append(np.asarray(chunk.every_step, float)[0, :done])
            taken += done
    finally:
        run.source.close()
    return ShortRun(np.concatenate(values), min(taken, steps), finite)


def _walk_batches(plan: Plan, rates: Sequence[float]) -> Iterator[float]:
    """Yield the losses of a plan over batches, each of the batch that comes at its step."""
    run = _begun(plan)
    state = run.state
    try:
        for step, rate in enumerate((*rates, rates[-1])):
            examples, order = run.source.chunk(step, 1)
            chunk = run.program.run(state, np.int32(1), examples, order, _at_beginning(run.arguments, rate))
            yield float(np.asarray(chunk.every_step)[0, 0]) if bool(chunk.finite) else math.nan
            state = chunk.state
    finally:
        run.source.close()


def _looks_at_batches(plan: Plan, rate: float, steps: int) -> tuple[Spectrum, ...]:
    """Return the curvature at the start of a training and after some steps."""
    run = _begun(plan, probe_every=1)
    try:
        if run.probe is None:
            return ()
        state, settings = run.state, run.arguments.settings
        first, _ = run.probe.look(state.point, state.memory, 0, None, None)
        if not steps:
            return (first,)
        examples, order = run.source.chunk(0, steps)
        chunk = run.program.run(state, np.int32(steps), examples, order, _at_beginning(run.arguments, rate))
        state = chunk.state
        scale = None if run.program.scale is None else run.program.scale(state.rule, settings)
        last = first if np.all(np.isfinite(first.eigenvalues)) else None
        return first, run.probe.look(state.point, state.memory, steps, last, scale)[0]
    finally:
        run.source.close()
