"""The way down the squares as a trace, whatever went down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from downslope._types import Plain
from downslope.descent import Objective, descend, plan, spectrum_of_hessian, versions
from downslope.diagnosis import BY_CURVATURE, Diagnosis, diagnose
from downslope.fitting._least_squares import Solution
from downslope.fitting._problem import FitProblem
from downslope.methods import method
from downslope.trace import Outcome, Trace

_DESCENT_STEPS = 1000


def trace_of(problem: FitProblem, objective: Objective, solution: Solution, steps: int) -> Trace:
    """Return a solution as a trace of the mean square.

    Args:
        problem: what was fitted.
        objective: its mean square.
        solution: the way to the least squares.
        steps: the most steps that were allowed.
    """
    start = dict(zip(problem.free, map(float, solution.points[0]), strict=True))
    description = plan(objective, start, method="newton", steps=steps, tolerance=0.0).description
    described = {**description, "method": solution.method, "settings": {}}
    return _trace(problem.free, described, solution, _rows(objective))


def verdict_on(problem: FitProblem, trace: Trace, objective: Objective, solution: Solution, held: np.ndarray) -> Diagnosis:
    """Return what is to say of the way to a solution, whatever units its parameters are in.

    The parameters that rest on a bound are left out, and each other one is measured by the length of its effect on the
    predictions.

    Args:
        problem: what was fitted.
        trace: the trace of the solution.
        objective: its mean square.
        solution: the way to the least squares.
        held: which parameters rest on a bound, shape (free,).
    """
    if held.all():
        return Diagnosis(())
    lengths = np.linalg.norm(solution.jacobian, axis=0)
    lengths = np.where((lengths > 0) & np.isfinite(lengths), lengths, 1.0)
    names = tuple(name for name, rests in zip(problem.free, held, strict=True) if not rests)
    scaled = solution.scaled(lengths, ~held)
    return diagnose(_trace(names, {**trace.plan, "names": sorted(names)}, scaled, _rows(objective)))


def _trace(free: tuple[str, ...], described: Plain, solution: Solution, rows: int) -> Trace:
    """Return the trace of the mean square over some parameters."""
    names = tuple(sorted(free))
    order = np.array([free.index(name) for name in names])
    share = 2 / rows
    last = len(solution.points) - 1
    start, end = (
        {name: np.asarray(point[place]) for name, place in zip(names, order, strict=True)}
        for point in (solution.points[0], solution.end)
    )
    outcome = Outcome.STALLED if solution.still else Outcome.STEPS_USED
    return Trace(
        outcome=outcome if solution.finite else Outcome.NOT_FINITE,
        recorded={
            "step": np.arange(last + 1),
            "value": share * solution.squares,
            "learning_rate": np.asarray(np.nan),
        },
        coordinate_names=names,
        coordinates=solution.points[:, order],
        gradients=share * solution.gradients[:, order],
        part_names=names,
        part_columns={},
        start=start,
        end=end,
        spectra=(spectrum_of_hessian(share * solution.hessian[np.ix_(order, order)], last, end),),
        plan=described,
        versions=versions(),
        not_finite_part=None if solution.finite else "value",
        not_finite_step=None if solution.finite else last,
    )


def _rows(objective: Objective) -> int:
    """Return the number of rows that a mean square is taken over."""
    return len(next(iter(objective.data.values())))


def takes_learning_rate(way: Any) -> bool:
    """Tell whether a method steps along the gradient by one learning rate for all parameters."""
    return isinstance(way, str) and method(way).name in BY_CURVATURE


def by_descent(
    problem: FitProblem, objective: Objective, free: np.ndarray, way: Any, steps: int | None, choices: Mapping[str, Any]
) -> Trace:
    """Return the trace of a method of `descend` on the mean square.

    Args:
        problem: what to fit.
        objective: its mean square.
        free: where to start, shape (free,).
        way: the method.
        steps: the most steps; None for 1000.
        choices: what else `descend` takes.
    """
    start = dict(zip(problem.free, map(float, free), strict=True))
    return descend(objective, start, method=way, steps=_DESCENT_STEPS if steps is None else steps, **choices)
