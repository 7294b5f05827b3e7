"""Fit: the verb from an equation and a table to parameters, their errors, and how they were found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from downslope._errors import DataError, SettingError
from downslope.diagnosis import Diagnosis
from downslope.fitting._constraints import Bounds, Constraints, checked_start, constraints
from downslope.fitting._least_squares import LEVENBERG_MARQUARDT
from downslope.fitting._model import CompleteRows, EquationModel, model_of, rows_of
from downslope.fitting._problem import FitArguments, FitProblem, checked_loss, scores
from downslope.fitting._report import findings
from downslope.fitting._result import Fit
from downslope.fitting._solver import OWN_METHODS, FitTask, Solver, checked_method
from downslope.fitting._uncertainty import parameters_of, uncertainty
from downslope.tables import read_table
from downslope.trace import Trace


def fit(
    text: str,
    data: Any,
    *,
    start: Mapping[str, float] | None = None,
    bounds: Bounds | None = None,
    fixed: Mapping[str, float] | None = None,
    ties: Mapping[str, str] | None = None,
    sigma: Any = None,
    weights: Any = None,
    absolute_sigma: bool = False,
    loss: str = "linear",
    loss_scale: float | None = None,
    method: str = LEVENBERG_MARQUARDT,
    steps: int | None = None,
    confidence: float = 0.95,
    units: Mapping[str, str] | None = None,
    seed: int = 0,
    **choices: Any,
) -> Fit:
    """Fit an equation to a table: find the parameters of least squares, and how sure they are.

    It minimises Σ (wᵢ(yᵢ − f(xᵢ; p)))² over p, with wᵢ = 1/σᵢ.

    Args:
        text: the equation: `price = w × size + b`. Names of the table are columns, all others are parameters.
        data: a CSV or Parquet file, a mapping of columns, a Polars or pandas frame.
        start: where to start, by parameter; None to search for a start.
        bounds: (low, high) by parameter, None for an open end.
        fixed: parameters to hold, with their values.
        ties: parameters that follow from others: `{"b": "2a"}`.
        sigma: standard deviation of each measurement: a column's name, numbers, or one number.
        weights: what each squared residual is multiplied by, instead of `sigma`.
        absolute_sigma: whether `sigma` is in true units, so that errors do not depend on the residuals.
        loss: "linear", or "huber", "soft-L1", "cauchy" so that outliers count less.
        loss_scale: the residual from which on they do; found from the residuals' median if None.
        method: "levenberg-marquardt", or a method of `ds.descend` to watch it at work.
        steps: the most steps to try; 2000 if None, 1000 for a method of `ds.descend`.
        confidence: of the intervals, between 0 and 1.
        units: units of columns, from which those of the parameters follow.
        seed: seed of the search for a start.
        choices: for a method of `ds.descend`: `learning_rate`, `tolerance`, … Without a rate it is one over the highest
            curvature at the start.

    Returns:
        The fit. One that goes badly is no error: its findings say so.

    Raises:
        FormulaError: for an equation that cannot be read.
        DataError: for a table that cannot be used, or has fewer rows than there are free parameters.
        SettingError: for bounds, ties, a loss or a method that make no sense.
        PointError: for a start that does not match the parameters.

    >>> found = fit("price = w × size", {"size": [50, 100, 150], "price": [100, 200, 300]})
    >>> round(found["w"], 9)
    2.0
    """
    if not 0 < confidence < 1:
        raise SettingError(f"the confidence lies between 0 and 1, not {confidence}", hint="0.95 for 95 %")
    lossy = checked_loss(loss)
    _check_together(sigma if weights is None else weights, absolute_sigma, lossy, loss_scale)
    table = read_table(data)
    named = (*(start or ()), *(bounds or ()), *(fixed or ()), *(ties or ()))
    model = model_of(text, table, units, named, tuple(column for column in (sigma, weights) if isinstance(column, str)))
    limits = constraints(model, fixed, ties, bounds)
    rows = rows_of(model, table, sigma, weights)
    task = _task(model, limits, rows, lossy, loss_scale)
    begin = checked_start(model, start)
    solver = Solver(task, None if begin is None else limits.start(begin), steps, seed)
    if loss_scale is None:
        solver.find_scale()
    way = checked_method(method)
    solve = solver.least_squares if way in OWN_METHODS else solver.by_descent
    trace, verdict = solve(way, choices)
    moved = () if begin is None else limits.moved(begin)
    notes = (*model.notes, *moved, *dict.fromkeys(solver.notes))
    return _fit_of(solver.task, trace, verdict, rows, notes, confidence, absolute_sigma)


def _check_together(sigma: Any, absolute_sigma: bool, loss: str, loss_scale: float | None) -> None:
    """Raise for settings that contradict each other or have no effect together."""
    if absolute_sigma and sigma is None:
        raise SettingError("absolute_sigma needs sigma or weights", hint="give sigma, or leave absolute_sigma out")
    if absolute_sigma and loss != "linear":
        raise SettingError(
            f"the errors of a {loss} fit follow from its residuals; absolute_sigma has no effect on them"
        )
    if loss_scale is not None and loss == "linear":
        raise SettingError("the linear loss has no scale", hint="loss_scale goes with huber, soft-L1 or cauchy")


def _task(
    model: EquationModel, limits: Constraints, rows: CompleteRows, loss: str, loss_scale: float | None
) -> FitTask:
    """Check that there are enough rows and return the task."""
    count = len(rows.measured)
    if count < len(limits.free):
        raise DataError(
            f"{count} row{'s' if count > 1 else ''} cannot determine {len(limits.free)} parameters "
            f"({', '.join(limits.free)})",
            hint="fix some of them, or add rows",
        )
    if loss_scale is not None and not loss_scale > 0:
        raise SettingError(f"the scale of a loss is above 0, not {loss_scale}")
    problem = FitProblem(model.equation.right.body, model.parameters, limits.free, limits.ties, loss)
    arguments = FitArguments(
        columns={name: rows.columns[name] for name in model.equation.right.columns},
        measured=rows.measured,
        weight=rows.weight,
        fixed={name: np.float64(value) for name, value in limits.fixed.items()},
        loss_scale=np.float64(1.0 if loss_scale is None else loss_scale),
    )
    return FitTask(model, problem, arguments, limits)


def _fit_of(
    task: FitTask,
    trace: Trace,
    verdict: Diagnosis,
    rows: CompleteRows,
    notes: tuple[str, ...],
    confidence: float,
    absolute_sigma: bool,
) -> Fit:
    """Build the result of a fit from its trace."""
    free = np.array([float(trace.end[name]) for name in task.problem.free])
    residuals, slopes = task.linearised(free)
    score = scores(task.problem.loss, residuals, float(task.arguments.loss_scale))
    held = task.limits.pressed(free, slopes.T @ (residuals if score is None else score[0]))
    resting = {name: float(trace.end[name]) for name, rests in zip(task.problem.free, held, strict=True) if rests}
    errors = uncertainty(slopes, residuals, held, absolute=absolute_sigma, scores=score)
    return Fit(
        parameters=parameters_of(task.model, task.problem, task.arguments, free, held, errors, confidence),
        trace=trace,
        findings=findings(task.model, trace, verdict, task.problem.free, resting, errors, rows.columns),
        data=rows.columns,
        left_out=rows.left_out,
        notes=notes,
        confidence=confidence,
        loss=task.problem.loss,
        loss_scale=float("nan") if task.problem.loss == "linear" else float(task.arguments.loss_scale),
        model=task.model,
        problem=task.problem,
        arguments=task.arguments,
        uncertainty=errors,
        objective=task.objective,
    )
