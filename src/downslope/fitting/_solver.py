"""From a task to a trace: which method goes first, and what is tried when it ends badly."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from downslope._engine import double_precision
from downslope._errors import SettingError, whole
from downslope._text import number
from downslope.descent import Objective, descend
from downslope.diagnosis import Diagnosis, diagnose
from downslope.fitting._constraints import Constraints
from downslope.fitting._equivalent import as_written
from downslope.fitting._least_squares import (
    LEVENBERG_MARQUARDT,
    TRUST_REGION,
    Solution,
    better,
    is_bounded,
    levenberg_marquardt,
    trace_of,
    trust_region,
    verdict_on,
)
from downslope.fitting._model import EquationModel
from downslope.fitting._problem import (
    FitArguments,
    FitProblem,
    highest_curvature,
    mean_square,
    predicted_with_slopes,
    typical_deviation,
)
from downslope.fitting._starts import search_start
from downslope.methods import FIT_METHODS, MethodSpec, method, spec_named
from downslope.trace import Trace

OWN_METHODS = tuple(spec.name for spec in FIT_METHODS)
_STEPS = 2000
_DESCENT_STEPS = 1000
# Residuals of a normal distribution beyond so many deviations count less: 95 % efficiency (Holland and Welsch, 1977).
_TUNING = {"huber": 1.345, "soft_l1": 1.345, "cauchy": 2.385}
_RESCALED = 5


@dataclass(frozen=True, eq=False)
class FitTask:
    """What is to be fitted.

    Args:
        model: the equation.
        problem: its residuals as a function of the free parameters.
        arguments: the data.
        limits: what is fixed, tied and bounded.
    """

    model: EquationModel
    problem: FitProblem
    arguments: FitArguments
    limits: Constraints

    @functools.cached_property
    def objective(self) -> Objective:
        """The mean square."""
        return mean_square(self.model, self.problem, self.arguments)

    def linearised(self, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the weighted residuals and the Jacobian of the weighted predictions, shape (rows, free)."""
        value, slopes = predicted_with_slopes(self.problem, free, self.arguments)
        return (value - self.arguments.measured) * self.arguments.weight, slopes * self.arguments.weight[:, None]


class Solver:
    """The ways from a start, or from none, to the least squares.

    Args:
        task: what is to be fitted.
        start: where to start, shape (free,); None to search.
        steps: the most steps; None for the method's own number.
        seed: seed of the search.
    """

    def __init__(self, task: FitTask, start: np.ndarray | None, steps: int | None, seed: int) -> None:
        self.task = task
        self.notes: list[str] = []
        self._start = start
        self._has_start = start is not None
        self._steps = None if steps is None else whole("steps", steps, least=0)
        self._seed = seed

    def find_scale(self) -> None:
        """Set the scale of a robust loss from the residuals' median; without a start, begin where that search ended."""
        task = self.task
        loss = task.problem.loss
        if loss == "linear":
            return
        plain = Solver(replace(task, problem=replace(task.problem, loss="linear")), self._start, None, self._seed)
        end = plain._solved(plain.task).end
        scale = None
        for _ in range(_RESCALED):
            deviation = typical_deviation(task.linearised(end)[0])
            if not deviation > 0:
                break
            scale = _TUNING[loss] * deviation
            task = replace(task, arguments=task.arguments._replace(loss_scale=np.float64(scale)))
            end = levenberg_marquardt(task.problem, task.arguments, task.limits.bounds, end, _STEPS).end
        self.task = task
        if self._start is None:
            self._start = end
        if scale is not None:
            self.notes.append(f"the scale of the loss, {number(scale, 4)}, is from the residuals' median")

    def least_squares(self, way: str, choices: Mapping[str, Any]) -> tuple[Trace, Diagnosis]:
        """Return the trace of Levenberg and Marquardt's method or of the trust region, and what is to say of it.

        Raises:
            SettingError: for settings, as they have none.
        """
        if choices:
            raise SettingError(f"{way} takes no {next(iter(choices))}")
        task = self.task
        solution = self._solved(task, way)
        trace = trace_of(task.problem, task.objective, solution, self._most)
        held = task.limits.pressed(solution.end, solution.gradients[-1])
        return trace, verdict_on(task.problem, trace, task.objective, solution, held)

    def by_descent(self, way: Any, choices: Mapping[str, Any]) -> tuple[Trace, Diagnosis]:
        """Return the trace of a method of `descend`, and what is to say of it.

        Raises:
            SettingError: if there are bounds, which these methods do not know.
        """
        task = self.task
        if is_bounded(task.limits.bounds):
            raise SettingError(f"{way} knows no bounds", hint=f"use {LEVENBERG_MARQUARDT}, or tie parameters instead")
        start = self._searched(task) if self._start is None else self._start
        chosen = dict(choices)
        if "learning_rate" not in chosen and takes_learning_rate(way):
            ends = [start, levenberg_marquardt(task.problem, task.arguments, task.limits.bounds, start, _STEPS).end]
            highest = max(highest_curvature(task.problem, task.arguments, end) for end in ends)
            if not highest > 0:
                raise SettingError("the squares curve nowhere upward at the start", hint="give a learning_rate")
            chosen["learning_rate"] = 1 / highest
            self.notes.append(
                f"the learning rate {number(1 / highest, 4)} is one over the highest curvature at both ends"
            )
        trace = by_descent(task.problem, task.objective, start, way, self._steps, chosen)
        return trace, diagnose(trace)

    @property
    def _most(self) -> int:
        return _STEPS if self._steps is None else self._steps

    def _solved(self, task: FitTask, way: str = LEVENBERG_MARQUARDT) -> Solution:
        """Return the best of what was tried, until one came to rest where the data determine every parameter."""
        start = self._searched(task) if self._start is None else self._start
        ladder = [levenberg_marquardt, trust_region] if way == LEVENBERG_MARQUARDT else [trust_region]
        tried: list[Solution] = []
        for rung in ladder:
            tried.append(rung(task.problem, task.arguments, task.limits.bounds, start, self._most))
            if tried[-1].sound or self._steps is not None:
                break
        if not tried[-1].sound and self._has_start and self._steps is None:
            again = levenberg_marquardt(
                task.problem, task.arguments, task.limits.bounds, self._searched(task), self._most
            )
            if better([*tried, again]) is again:
                self.notes.append("from the start that was given no minimum was found; another start was searched for")
            tried.append(again)
        chosen = better(tried)
        if way == LEVENBERG_MARQUARDT and chosen.method == TRUST_REGION:
            self.notes.append("levenberg-marquardt came to no rest; the trust region went on")
        return chosen if self._has_start else self._as_written(task, chosen)

    def _searched(self, task: FitTask) -> np.ndarray:
        """Return a start that was searched for."""
        with double_precision():
            return search_start(task.model, task.problem, task.arguments, task.limits.bounds, self._seed)

    def _as_written(self, task: FitTask, solution: Solution) -> Solution:
        """Return the solution with its parameters' signs and order as a person would choose them."""
        if not (task.limits.none and solution.finite and task.arguments.columns):
            return solution
        free = task.problem.free
        found = dict(zip(free, map(float, solution.end), strict=True))
        return solution.rewritten(free, as_written(task.model, found, task.arguments.columns))


def checked_method(way: Any) -> Any:
    """Return a method as a fit knows it: by the name of `OWN_METHODS`, or as it came, for `descend`.

    Raises:
        SettingError: if there is none of this name.
    """
    if not isinstance(way, str):
        return way
    own = spec_named(way, FIT_METHODS)
    if own is not None:
        return own.name
    try:
        return method(way).name
    except SettingError as error:
        error.hint = f"{error.hint}; and, for a fit, {' and '.join(OWN_METHODS)}"
        raise


def takes_learning_rate(way: Any) -> bool:
    """Tell whether a method steps along the gradient by one learning rate for all parameters."""
    return isinstance(way, str | MethodSpec) and method(way).facts.by_curvature


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
