"""Descents of one plan at many rates in parallel: a step of all of them is a few NumPy operations.

A lane that has ended is computed on with the others and its numbers are dropped; a sweep has at most some dozen lanes,
and an operation on them costs as much as on one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, overload

import numpy as np

from downslope._arrays import LANE_ARRAYS
from downslope.descent._chunk_result import ChunkResult, result_of
from downslope.descent._descend import Prepared, descend, finished, prepared
from downslope.descent._numpy_loop import NumericObjective, record_of, squares
from downslope.descent._plan import Plan
from downslope.descent._recipe import Arguments, Chunk, LoopState, Status, clipped
from downslope.executors import Crew, Unit
from downslope.methods import Rule, RuleInput, rule_of
from downslope.trace import Outcome, Trace

_MOST_NUMBERS = 20_000_000  # of all points of all lanes


class _Lanes(NamedTuple):
    """The record of all lanes: a row for each step that any of them took.

    Args:
        values: shape (rows, lanes).
        points, gradients, updates: shape (rows, lanes, size); the last updates are NaN.
        ends: the row of each lane's last point, shape (lanes,).
        flags: whether each lane was finite, steep and moving when it ended, shape (3, lanes).
        bad_parts: the part of each lane that was not finite, 0 for the value, shape (lanes,).
        scales: what the rule divides by at the end of each lane, shape (lanes, size), or None.
    """

    values: np.ndarray
    points: np.ndarray
    gradients: np.ndarray
    updates: np.ndarray
    ends: np.ndarray
    flags: np.ndarray
    bad_parts: np.ndarray
    scales: np.ndarray | None

    @property
    def steps(self) -> np.ndarray:
        """The number of steps of each lane to its tolerance, ∞ where it was not reached."""
        finite, steep, _ = self.flags
        return np.where(finite & ~steep, self.ends, np.inf)

    @property
    def end_values(self) -> np.ndarray:
        """The value at the end of each lane, ∞ where it was not finite."""
        values = self.values[self.ends, np.arange(len(self.ends))]
        return np.where(self.flags[0] & np.isfinite(values), values, np.inf)

    @property
    def best(self) -> int:
        """The lane that converged first or, if none did, that ended lowest."""
        steps, values = self.steps, self.end_values
        return min(range(len(values)), key=lambda lane: (steps[lane], values[lane]))


class RateDescents(Sequence[Trace]):
    """The descents of a plan at several learning rates.

    A descent that ran beside others becomes a trace when it is first looked at, since that takes longer than its steps,
    and most are only compared by how they end.

    Args:
        steps: the number of steps of each to its tolerance, ∞ where it was not reached, shape (rates,).
        values: the value at the end of each, ∞ where it was not finite, shape (rates,).
        traces: those that are known, by index.
        finish: makes the trace of an index.
    """

    def __init__(
        self, steps: np.ndarray, values: np.ndarray, traces: dict[int, Trace], finish: Callable[[int], Trace] | None
    ) -> None:
        self.steps, self.values = steps, values
        self._traces, self._finish = traces, finish

    @classmethod
    def of(cls, traces: Sequence[Trace]) -> RateDescents:
        """Return the descents of existing traces."""
        steps, values = np.array([*map(steps_to_rest, traces)]), np.array([*map(end_value, traces)])
        return cls(steps, values, dict(enumerate(traces)), None)

    @property
    def best(self) -> int:
        """The index of the descent that reached its tolerance first or, if none did, that ended lowest."""
        return min(range(len(self)), key=lambda index: (self.steps[index], self.values[index]))

    def __len__(self) -> int:
        return len(self.steps)

    @overload
    def __getitem__(self, index: int) -> Trace: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Trace, ...]: ...
    def __getitem__(self, index: int | slice) -> Trace | tuple[Trace, ...]:
        if isinstance(index, slice):
            return tuple(self[number] for number in range(*index.indices(len(self))))
        number = range(len(self))[index]
        if number not in self._traces:
            assert self._finish is not None
            self._traces[number] = self._finish(number)
        return self._traces[number]

    def __reduce__(self) -> tuple[Any, ...]:
        return RateDescents.of, (tuple(self),)


def descend_at_rates(plan: Plan, rates: Sequence[float] | np.ndarray, crew: Crew | None = None) -> RateDescents:
    """Return the descents of a plan at several learning rates.

    Args:
        plan: the plan; its own rate is not used.
        rates: the rates.
        crew: does those that are no lanes of one; None for one after another.
    """
    ready = _prepared(plan, len(rates))
    if ready is None:
        units = [Unit(_at_rate, plan, (float(rate),)) for rate in rates]
        return RateDescents.of((crew or Crew()).results(units))
    plans = [replace(plan, learning_rate=float(rate)) for rate in rates]
    goal, rule = _of(plan)
    with np.errstate(all="ignore"):
        lanes = _run(plan, goal, rule, np.asarray(rates, float), ready.arguments)

    def finish(index: int) -> Trace:
        with np.errstate(all="ignore"):
            result = _result(ready, goal, rule, lanes, index)
        return finished(plans[index], ready, [result], result.outcome)

    descents = RateDescents(lanes.steps, lanes.end_values, {}, finish)
    # Of a descent in which nothing moves, rounding decides whether it is at its tolerance.
    for index in np.flatnonzero(~lanes.flags[2] & np.isinf(lanes.steps)).tolist():
        descents.steps[index] = steps_to_rest(descents[index])
    return descents


def _at_rate(plan: Plan, rate: float) -> Trace:
    """Return the descent of a plan at another rate."""
    return descend(replace(plan, learning_rate=rate), progress=False)


def descend_at_best_rate(plan: Plan, rates: Sequence[float] | np.ndarray, crew: Crew | None = None) -> Trace:
    """Return the descent at the best of some rates: the first to converge or, if none does, the one that ends lowest.

    Side by side, all lanes end when the first one has converged.

    Args:
        plan: the plan; its own rate is not used.
        rates: the rates.
        crew: as for `descend_at_rates`.
    """
    ready = _prepared(plan, len(rates))
    if ready is None:
        descents = descend_at_rates(plan, rates, crew)
        return descents[descents.best]
    goal, rule = _of(plan)
    with np.errstate(all="ignore"):
        lanes = _run(plan, goal, rule, np.asarray(rates, float), ready.arguments, only_first=True)
        best = lanes.best
        result = _result(ready, goal, rule, lanes, best)
    return finished(replace(plan, learning_rate=float(rates[best])), ready, [result], result.outcome)


def steps_to_rest(trace: Trace) -> float:
    """Return the number of steps of a descent to its tolerance, ∞ if it did not reach it."""
    rested = trace.outcome is Outcome.CONVERGED
    still = trace.outcome is Outcome.STALLED and trace.columns["gradient_norm"][-1] <= trace.plan["tolerance"]
    return float(trace.last_step) if rested or still else math.inf


def end_value(trace: Trace) -> float:
    """Return the value at the end of a descent, ∞ if that is not finite."""
    return trace.value if trace.outcome is not Outcome.NOT_FINITE and math.isfinite(trace.value) else math.inf


def standing(trace: Trace) -> tuple[float, float]:
    """Return the key that descents are ranked by: steps to the tolerance, then the value at the end."""
    return steps_to_rest(trace), end_value(trace)


def _of(plan: Plan) -> tuple[NumericObjective, Rule]:
    formula = plan.objective.formula
    assert formula is not None
    return NumericObjective(formula, plan.objective.data), rule_of(plan.method, LANE_ARRAYS)


def _prepared(plan: Plan, lanes: int) -> Prepared | None:
    """Return a plan as prepared for lanes side by side; None if they must run one after another."""
    ready = prepared(plan) if plan.runs_in == "numpy" else None
    if ready is None:
        return None
    # Rules that look at a single point cannot.
    alone = plan.method.searches_line or plan.method.spec.noisy or ready.recipe.exact
    rows = len(next(iter(plan.objective.data.values()), ())) or 1
    room = lanes * max((plan.steps + 1) * ready.recipe.size, rows) <= _MOST_NUMBERS
    return ready if room and not alone and lanes > 1 else None


def _run(
    plan: Plan, goal: NumericObjective, rule: Rule, rates: np.ndarray, arguments: Arguments, *, only_first: bool = False
) -> _Lanes:
    """Take steps in all lanes until each has ended, or until the first of them has converged."""
    start = np.array([float(plan.start[name]) for name in goal.names])
    point = np.tile(start, (len(rates), 1))
    value, gradient = goal.values_and_gradients(point)
    state, limit = rule.init(point, arguments.settings), float(arguments.tolerance) ** 2
    finite, steep = _finite(value, gradient), squares(gradient) > limit
    running = finite & steep
    flags = np.stack([finite, steep, np.ones(len(rates), bool)])
    ends, bad_parts, scales = np.zeros(len(rates), int), _bad_parts(value, gradient), _scales(rule, state, arguments)
    rows: list[tuple[np.ndarray, ...]] = []
    while running.any() and len(rows) < plan.steps:
        before = state
        rate = plan.schedule.rate(len(rows), rates[:, None], arguments.budget, arguments.course, np)
        slope = clipped(LANE_ARRAYS, gradient, plan.clips, arguments)
        update, state = rule.update(RuleInput(point, value, slope, rate, arguments.settings, goal), state)
        rows.append((value, point, gradient, update))
        reached = point + update
        value, gradient = goal.values_and_gradients(reached)
        finite, steep = _finite(value, gradient), steep & (squares(gradient) > limit)
        moving, point = (reached != point).any(axis=1), reached
        ended = running & ~(finite & steep & moving)
        if ended.any():
            ends[ended] = np.where(finite, len(rows), len(rows) - 1)[ended]
            flags[:, ended] = np.stack([finite, steep, moving])[:, ended]
            bad_parts[ended] = _bad_parts(value, gradient)[ended]
            if scales is not None:
                for lanes, known in ((ended & finite, state), (ended & ~finite, before)):
                    scales[lanes] = _scales(rule, known, arguments)[lanes]
            running = running & ~ended
            if only_first and (finite & ~steep)[ended].any():
                break
    ends[running] = len(rows)
    if scales is not None:
        scales[running] = _scales(rule, state, arguments)[running]
    rows.append((value, point, gradient, np.full_like(point, np.nan)))
    values, points, gradients, updates = (np.array(column) for column in zip(*rows, strict=True))
    return _Lanes(values, points, gradients, updates, ends, flags, bad_parts, scales)


def _scales(rule: Rule, state: Any, arguments: Arguments) -> Any:
    """Return the scale that the rule divides by, shape (lanes, size); None if it has none."""
    return None if rule.preconditioner is None else np.array(rule.preconditioner(state, arguments.settings))


def _result(ready: Prepared, goal: NumericObjective, rule: Rule, lanes: _Lanes, index: int) -> ChunkResult:
    """Return a lane as the result of a descent of its own."""
    end = int(lanes.ends[index])
    rows = slice(end + 1)
    updates = np.array(lanes.updates[rows, index])
    updates[-1] = np.nan  # the step that leaves the last row is not taken
    columns = {
        "value": lanes.values[rows, index],
        "points": lanes.points[rows, index],
        "gradients": lanes.gradients[rows, index],
        "updates": updates,
    }
    first, last = columns["points"][0], columns["points"][-1]
    finite, steep, moving = (int(flag) for flag in lanes.flags[:, index])
    point: Any = dict(zip(goal.names, last, strict=True))
    scale = None if lanes.scales is None else dict(zip(goal.names, lanes.scales[index], strict=True))
    chunk = Chunk(
        np.array(Status(end + 1, end, finite, steep, moving, int(lanes.bad_parts[index]))),
        LoopState(end, point, columns["value"][-1], columns["gradients"][-1], None, None),
        record_of(ready.recipe, rule, goal, columns),
        np.stack([goal.hessian(first), goal.hessian(last)]) if ready.recipe.hessian else None,
        scale,
    )
    return result_of(ready.program, chunk, end, ready.arguments, ready.start)


def _finite(value: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    return np.isfinite(value) & np.isfinite(gradient).all(axis=1)


def _bad_parts(value: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Return 0 where the value is not finite, else 1 + the index of the first part whose gradient is not."""
    finite = np.isfinite(gradient)
    return np.where(finite.all(axis=1) | ~np.isfinite(value), 0, 1 + np.argmin(finite, axis=1))
