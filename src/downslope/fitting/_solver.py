"""The strategy of a fit: the method to try first, and the alternatives if it does not converge."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from downslope._engine import double_precision
from downslope._errors import SettingError, whole
from downslope._text import listed, number
from downslope.descent import Objective, descend
from downslope.diagnosis import Diagnosis, diagnose
from downslope.fitting._constraints import Constraints
from downslope.fitting._equivalent import as_written, fixed_period, turns_home, turns_of
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
from downslope.fitting._likelihoods import LIKELIHOODS
from downslope.fitting._model import EquationModel
from downslope.fitting._numeric_problem import NumericProblem, highest_curvature, is_small, predicted_with_slopes
from downslope.fitting._problem import (
    FitArguments,
    FitProblem,
    mean_square,
    rows_of_loss,
    typical_deviation,
)
from downslope.fitting._starts import search_start
from downslope.methods import FIT_METHODS, MethodSpec, method, spec_named
from downslope.trace import Trace

OWN_METHODS = tuple(spec.name for spec in FIT_METHODS)
_STEPS = 2000
_DESCENT_STEPS = 1000
# Scale of each loss in standard deviations: 95 % efficiency for normal residuals (Holland and Welsch, 1977).
_TUNING = {"huber": 1.345, "soft_l1": 1.345, "cauchy": 2.385}
_RESCALED = 5  # alternations of scale and fit; the scale settles to its digits within


@dataclass(frozen=True, eq=False)
class FitTask:
    """An equation, its data and its constraints.

    Args:
        model: the equation.
        problem: its residuals as a function of the free parameters.
        arguments: the data.
        limits: fixed, tied and bounded parameters.
    """

    model: EquationModel
    problem: FitProblem
    arguments: FitArguments
    limits: Constraints

    @functools.cached_property
    def objective(self) -> Objective:
        """The mean square."""
        return mean_square(self.model, self.problem, self.arguments)

    @property
    def with_exact_columns(self) -> FitTask:
        """The task as if columns had no errors."""
        return replace(self, arguments=self.arguments._replace(deviations=None))

    def predicted(self, free: np.ndarray) -> np.ndarray:
        """Return the predictions, shape (rows,)."""
        return predicted_with_slopes(self.problem, free, self.arguments)[0]

    def linearised(self, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the weighted residuals and the Jacobian of the weighted predictions, shape (rows, free)."""
        if self.arguments.deviations:
            return NumericProblem(self.problem, self.arguments).linearised(free)
        value, slopes = predicted_with_slopes(self.problem, free, self.arguments)
        return (value - self.arguments.measured) * self.arguments.weight, slopes * self.arguments.weight[:, None]


class Solver:
    """Runs a fit, from a start or from a search for one.

    Args:
        task: the equation, its data and its constraints.
        start: the start, shape (free,), NaN for parameters to search for beside it; None to search for all.
        steps: the maximum number of steps; None for the method's default.
        seed: seed of the search.
    """

    def __init__(self, task: FitTask, start: np.ndarray | None, steps: int | None, seed: int) -> None:
        self.task = task
        self.notes: list[str] = []
        self._start = start
        self._has_start = start is not None
        self._steps = None if steps is None else whole("steps", steps, least=0)
        self._seed = seed

    def complete_start(self) -> None:
        """Search for the parameters that the start lacks, with the others held there."""
        if self._start is None or not np.isnan(self._start).any():
            return
        task, free = self.task, self.task.problem.free
        absent = np.isnan(self._start)
        values = {name: float(value) for name, value in zip(free, self._start, strict=True) if np.isfinite(value)}
        limits = task.limits.holding(values)
        fixed = {name: np.float64(value) for name, value in limits.fixed.items()}
        held = replace(
            task,
            problem=replace(task.problem, free=limits.free, loss="linear"),
            arguments=task.arguments._replace(fixed=fixed),
            limits=limits,
        )
        self._start = np.array(self._start)
        self._start[absent] = self._searched(held)
        self.notes.append(f"the start has no {listed(limits.free)}: searched for beside {listed(list(values))}")

    def find_scale(self) -> None:
        """Set the scale of a robust loss from the median residual; without a start, its last fit becomes the start."""
        # Scale and parameters depend on each other: a least-squares fit first, then alternately, from end to end.
        task = self.task
        loss = task.problem.loss
        if task.arguments.deviations and self._start is None:
            self._start = self._solved(task.with_exact_columns).end
            self.notes.clear()
        if loss == "linear":
            return
        if loss in LIKELIHOODS:
            self._find_likely_start()
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

    def _find_likely_start(self) -> None:
        """Take the end of a fit by weighted least squares for the start of one by likelihood, where it has a value."""
        task = self.task
        if self._start is not None:
            return
        # Deviations of roughly the root of the counts, also for counts of 0: that far least squares are the likelihood.
        near = task.arguments.measured
        weight = task.arguments.weight / np.sqrt(near + 1 if task.problem.loss == "poisson" else 1.0)
        rough = replace(
            task,
            problem=replace(task.problem, loss="linear"),
            arguments=task.arguments._replace(weight=weight),
        )
        end = Solver(rough, None, None, self._seed)._solved(rough).end
        if np.all(np.isfinite(rows_of_loss(task.problem.loss, task.predicted(end), task.arguments))):
            self._start = end

    def least_squares(self, way: str, choices: Mapping[str, Any]) -> tuple[Trace, Diagnosis]:
        """Fit by Levenberg–Marquardt or the trust region; return the trace and its diagnosis.

        Raises:
            SettingError: for any setting, as these methods take none.
        """
        if choices:
            raise SettingError(f"{way} takes no {next(iter(choices))}")
        task = self.task
        solution = self._solved(task, way)
        trace = trace_of(task.problem, task.objective, solution, self._most)
        held = task.limits.pressed(solution.end, solution.gradients[-1])
        return trace, verdict_on(task.problem, trace, task.objective, solution, held)

    def by_descent(self, way: Any, choices: Mapping[str, Any]) -> tuple[Trace, Diagnosis]:
        """Fit by a method of `descend`; return the trace and its diagnosis.

        Raises:
            SettingError: if there are bounds, which these methods do not support.
        """
        task = self.task
        if is_bounded(task.limits.bounds):
            hint = f"use {LEVENBERG_MARQUARDT}, or tie parameters instead"
            raise SettingError(f"{way} does not support bounds", hint=hint)
        start = self._searched(task) if self._start is None else self._start
        settings = dict(choices)
        if "learning_rate" not in settings and takes_learning_rate(way):
            # 1/λ_max is half the largest stable rate. λ_max at the minimum counts as well as at the start: the descent
            # must not diverge where it is to converge.
            ends = [start, levenberg_marquardt(task.problem, task.arguments, task.limits.bounds, start, _STEPS).end]
            highest = max(highest_curvature(task.problem, task.arguments, end) for end in ends)
            if not highest > 0:
                raise SettingError("the curvature at the start is not positive", hint="give a learning_rate")
            settings["learning_rate"] = 1 / highest
            self.notes.append(
                f"the learning rate {number(1 / highest, 4)} is one over the highest curvature at both ends"
            )
        trace = by_descent(task.problem, task.objective, start, way, self._steps, settings)
        return trace, diagnose(trace)

    @property
    def _most(self) -> int:
        return _STEPS if self._steps is None else self._steps

    def _solved(self, task: FitTask, way: str = LEVENBERG_MARQUARDT) -> Solution:
        """Try methods and starts until one converges where the data determine all parameters; return the best."""
        # With a limit on the steps the user wants to see them, so nothing else is tried.
        start = self._searched(task) if self._start is None else self._start
        ladder = [levenberg_marquardt, trust_region] if way == LEVENBERG_MARQUARDT else [trust_region]
        tried: list[Solution] = []
        for rung in ladder:
            tried.append(rung(task.problem, task.arguments, task.limits.bounds, start, self._most))
            # Where the start has no value or no slope, another method does not help; another start may.
            stuck = self._has_start and not (tried[-1].finite and tried[-1].has_slopes)
            if tried[-1].sound or self._steps is not None or stuck:
                break
        is_good = tried[-1].sound and not _is_worse_than_nothing(task, tried[-1])
        if not is_good and self._has_start and self._steps is None:
            again = levenberg_marquardt(
                task.problem, task.arguments, task.limits.bounds, self._searched(task), self._most
            )
            if better([*tried, again]) is again:
                self.notes.append("no minimum was reached from the given start; another start was searched for")
            tried.append(again)
        chosen = better(tried)
        if way == LEVENBERG_MARQUARDT and chosen.method == TRUST_REGION:
            self.notes.append("levenberg-marquardt did not converge; the trust region was used")
        return chosen if self._has_start else self._as_written(task, chosen)

    def _searched(self, task: FitTask) -> np.ndarray:
        """Search for a start."""
        task = task.with_exact_columns
        with contextlib.nullcontext() if is_small(task.arguments) else double_precision():
            return search_start(task.model, task.problem, task.arguments, task.limits.bounds, self._seed)

    def _as_written(self, task: FitTask, solution: Solution) -> Solution:
        """Return the solution in the conventional signs and order of its parameters."""
        if not (task.limits.none and solution.finite and task.arguments.columns):
            return solution
        free, columns = task.problem.free, task.arguments.columns
        values = dict(zip(free, map(float, solution.end), strict=True))
        change = as_written(task.model, values, columns)
        moved = turns_of(change, task.model, values, columns)
        solution = self._brought_home(task, solution.rewritten(free, change), moved)
        for name, turns in moved.items():
            periods = f"{abs(turns)} period{'s' if abs(turns) > 1 else ''}"
            self.notes.append(f"{name} was moved by {periods}, which leaves the curve unchanged")
        return solution

    def _brought_home(self, task: FitTask, solution: Solution, moved: dict[str, int]) -> Solution:
        """Return the same curve with phases near 0 or the data whose period was fitted; add them to those moved."""
        free, columns = task.problem.free, task.arguments.columns
        values = dict(zip(free, map(float, solution.end), strict=True))
        away = turns_home(task.model, values, columns)
        if not away:
            return solution
        # The shift is a multiple of the fitted period, so the path to it is another: it is fitted once more. From the
        # start if that leads there, since its period differs, and thousands of turns make much of that; else the end.
        for point in (solution.points[0], solution.end):
            values = dict(zip(free, map(float, point), strict=True))
            first = dict(values)
            for name, turns in away.items():
                period = fixed_period(task.model, name, values, columns, of_others=True)
                first[name] -= turns * (period or 0.0)
            beginning = np.array([first[name] for name in free])
            again = levenberg_marquardt(task.problem, task.arguments, task.limits.bounds, beginning, self._most)
            # Far from the data a phase has few digits left, which move the squares.
            if again.sound and again.squares[-1] <= solution.squares[-1] * (1 + 1e-7):
                moved |= away
                return again
        return solution


def _is_worse_than_nothing(task: FitTask, solution: Solution) -> bool:
    """Tell whether predictions of 0 would be nearer to the data, as where a start makes an exponential explode."""
    nothing = float(np.sum((task.arguments.weight * task.arguments.measured) ** 2)) / 2
    return task.problem.loss == "linear" and bool(solution.squares[-1] > nothing)


def checked_method(way: Any) -> Any:
    """Check the method of a fit and return its canonical name, or a method of `descend` as it is.

    Raises:
        SettingError: for an unknown method.
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
    """Return whether a method steps along the gradient with one learning rate for all parameters."""
    return isinstance(way, str | MethodSpec) and method(way).facts.by_curvature


def by_descent(
    problem: FitProblem, objective: Objective, free: np.ndarray, way: Any, steps: int | None, choices: Mapping[str, Any]
) -> Trace:
    """Run a method of `descend` on the mean square.

    Args:
        problem: the structure of the fit.
        objective: the mean square.
        free: the start, shape (free,).
        way: the method.
        steps: the maximum number of steps; None for 1000.
        choices: other arguments of `descend`.
    """
    start = dict(zip(problem.free, map(float, free), strict=True))
    return descend(objective, start, method=way, steps=_DESCENT_STEPS if steps is None else steps, **choices)
