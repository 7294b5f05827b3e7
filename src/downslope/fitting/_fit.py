"""`fit`: from an equation and a table to parameters with their errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack, overload

import numpy as np

from downslope._choices import checked, defaults, door, schema
from downslope._errors import DataError, FormulaError, SettingError, described, mapping
from downslope._types import TableLike
from downslope.descent import settings_of_own
from downslope.diagnosis import Diagnosis
from downslope.executors import Crew
from downslope.fitting._choices import DescendingFitChoices, FitChoices, PlainFitChoices
from downslope.fitting._constraints import Constraints, check_by_name, checked_start, constraints
from downslope.fitting._findings import findings_of
from downslope.fitting._function_model import function_equation, start_from
from downslope.fitting._grouped import StartedFit, grouped_task, is_joint, joint, side_by_side
from downslope.fitting._grouped_fit import GroupedFit
from downslope.fitting._groups import checked_shared, group_columns, plain_names, shared_names, with_merged_cells
from downslope.fitting._inference import with_intervals
from downslope.fitting._likelihoods import LIKELIHOODS, check_choices, check_measured, information_factor
from downslope.fitting._model import EquationModel, in_units, model_of
from downslope.fitting._orthogonal import check_together, named_deviations
from downslope.fitting._problem import FitArguments, FitProblem, checked_loss, scores_of_loss
from downslope.fitting._result import Fit
from downslope.fitting._rows import CompleteRows, rows_of
from downslope.fitting._solver import OWN_METHODS, FitTask, Solver, checked_method
from downslope.fitting._uncertainty import parameters_of, uncertainty
from downslope.formulas import Equation
from downslope.tables import Table, read_table
from downslope.trace import Outcome, Trace


@overload
def fit(
    equation: str | Callable[..., Any] | TableLike,
    data: TableLike | str | None = None,
    **choices: Unpack[PlainFitChoices],
) -> Fit: ...


@overload
def fit(
    equation: str | Callable[..., Any] | TableLike, data: TableLike | str | None = None, **choices: Unpack[FitChoices]
) -> Fit | GroupedFit: ...


@door(FitChoices)
def fit(
    equation: str | Callable[..., Any] | TableLike, data: TableLike | str | None = None, **choices: Unpack[FitChoices]
) -> Fit | GroupedFit:
    """Fit an equation to a table: estimate its parameters and their uncertainty.

    It minimises Σ (wᵢ(yᵢ − f(xᵢ; p)))² over p, with wᵢ = 1/σᵢ.

    Args:
        equation: `price = w × size + b`. Names in the table are columns, all others are parameters. Or a Python
            function of arrays, with `y` for the measured column: arguments named like columns are columns, the others
            are parameters.
        data: a file, a mapping of columns, a frame, an array, or rows; see `read_table`. Equation and data may also
            come in the other order.
        **choices: as in `FitChoices`.

    Returns:
        The fit. A bad fit is not an error: its findings say so. With `by`, many groups that share nothing are a
        `GroupedFit`, which has the interface of a fit and a table of the groups.

    Raises:
        FormulaError: for an equation that cannot be read.
        DataError: for a table that cannot be used, or has fewer rows than there are free parameters.
        SettingError: for invalid bounds, ties, losses or methods.
        PointError: for a start that does not match the parameters.

    >>> result = fit("price = w × size", {"size": [50, 100, 150], "price": [100, 200, 300]})
    >>> round(result["w"], 9)
    2.0
    """
    passed = checked(FitChoices, choices, also=("equation", "data"), settings=settings_of_own(choices))
    chosen = {**defaults(FitChoices), **passed}
    wanted, source = _in_order(equation, data)
    _check_together(chosen)
    with Crew(chosen["executor"]) as crew:
        model, table, by, shared = _over_table(wanted, source, chosen)
        if not by:
            limits = constraints(model, chosen["fixed"], chosen["ties"], chosen["bounds"])
            about_rows = (chosen[name] for name in ("sigma", "weights", "rows", "where", "sigma_x"))
            rows = rows_of(model, table, *about_rows)
            first = checked_start(model, chosen["start"]) or {}
            problem = StartedFit(model, limits, rows, limits.start(first), limits.moved(first))
            return _fitted(problem, passed, chosen, crew)
        groups = grouped_task(model, table, by, chosen, crew)
        if is_joint(groups, shared):
            return _fitted(joint(groups, shared), passed, chosen, crew)
        return side_by_side(groups, chosen["confidence"], chosen["absolute_sigma"], model.notes)


def _fitted(problem: StartedFit, passed: Mapping[str, Any], chosen: Mapping[str, Any], crew: Crew) -> Fit:
    """Fit an equation to rows.

    Args:
        problem: the equation, its constraints, the rows and the start.
        passed: the choices that were passed, among them settings of a method.
        chosen: all choices, with their defaults.
        crew: refits, where intervals are profiles.
    """
    model, rows, loss = problem.model, problem.rows, chosen["loss"]
    if loss in LIKELIHOODS:
        check_measured(loss, rows.measured, rows.numbers, model.equation.left.read_as)
    task = _task(model, problem.limits, rows, loss, chosen["loss_scale"])
    solver = Solver(task, problem.start, chosen["steps"], chosen["seed"])
    solver.complete_start()
    if chosen["loss_scale"] is None:
        solver.find_scale()
    method = checked_method(chosen["method"])
    go_down = solver.least_squares if isinstance(method, str) and method in OWN_METHODS else solver.by_descent
    own = schema(DescendingFitChoices)
    settings = {name: choice for name, choice in passed.items() if name in own or name not in schema(FitChoices)}
    trace, verdict = go_down(method, settings)
    notes = (*model.notes, *rows.notes, *problem.moved, *dict.fromkeys(solver.notes))
    return _fit_of(solver.task, trace, verdict, rows, notes, chosen, crew)


def _over_table(
    equation: str | Callable[..., Any], data: Any, chosen: dict[str, Any]
) -> tuple[EquationModel, Table, tuple[str, ...], tuple[str, ...]]:
    """Read the table and the equation over it; names of columns among the choices become whole names.

    Args:
        equation: text, or a Python function.
        data: what `read_table` reads.
        chosen: all choices; sigma, weights and start are replaced by what they mean over this table.

    Returns:
        The equation, the table, the columns that tell groups apart, and the shared parameters.
    """
    table, units = in_units(read_table(data, **_about_table(chosen)), chosen["units"])
    model_text, chosen["start"] = _model_text(equation, table, chosen["y"], chosen["start"])
    for name in ("sigma", "weights"):
        chosen[name] = _column_if_any(chosen[name], table)
    by_name = (chosen[choice] for choice in ("start", "bounds", "fixed", "ties"))
    named = [name for choice in by_name if isinstance(choice, Mapping) for name in choice]
    about_rows = (chosen["sigma"], chosen["weights"], *named_deviations(chosen["sigma_x"]))
    columns = [column for column in about_rows if isinstance(column, str)]
    by = () if chosen["by"] is None else group_columns(chosen["by"], table)
    table = with_merged_cells(table, by) if by else table
    shared = shared_names(chosen["shared"])
    if shared and not by:
        raise SettingError("shared needs by, the column that defines the groups", hint='for example by="patient"')
    model = model_of(model_text, table, units, tuple(plain_names(named)), (*columns, *by))
    check_by_name(model, chosen["start"], chosen["bounds"])
    return model, table, by, checked_shared(shared, model) if by else ()


def _column_if_any(choice: Any, table: Table) -> Any:
    """Return the whole name of the column that a text names; anything else, such as a formula of columns, as it is."""
    if not isinstance(choice, str):
        return choice
    try:
        return table.name_of(choice)
    except DataError:
        if re.search(r"[-+*/^()×·²√]", choice):  # a formula of columns, which the rows compute
            return choice
        raise


def _about_table(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the choices on the table, as arguments of `read_table`."""
    about = dict(mapping("table", chosen["table"], '{"decimal": "comma"}') or {})
    if chosen["sheet"] is not None:
        about["sheet"] = chosen["sheet"]
    # Both may say what stands for a missing cell.
    about["missing"] = (*_several(about.get("missing", ())), *_several(chosen["missing"]))
    return about


def _several(entries: Any) -> tuple[Any, ...]:
    """Return one entry or several as a tuple."""
    return tuple(entries) if isinstance(entries, list | tuple | set | frozenset | np.ndarray) else (entries,)


def _model_text(equation: Any, table: Table, measured: str | None, start: Any) -> tuple[str | Equation, Any]:
    """Return the equation, read already if it is a Python function, and the start, which its defaults may give.

    Raises:
        SettingError: for `y` beside the text of an equation.
    """
    if not callable(equation):
        if measured is not None:
            raise SettingError("y names the measured column of a Python function; an equation has a left side")
        return equation, start
    read, known = function_equation(equation, table, measured)
    return read, start_from(known, start, read.right.variables)


def _in_order(equation: Any, data: Any) -> tuple[Any, Any]:
    """Return the equation and the table, in whichever order they came.

    Raises:
        FormulaError: if neither is an equation.
        DataError: if there is no table.
    """
    if _is_equation(data) and not _is_equation(equation):
        equation, data = data, equation
    if callable(data) and not callable(equation):
        equation, data = data, equation
    if isinstance(equation, str) and "=" not in equation and _is_equation(equation):
        equation = equation.replace("~", "=", 1)  # as R writes it
    if not isinstance(equation, str) and not callable(equation):
        raise FormulaError(
            f"an equation is text or a Python function, not {type(equation).__name__}",
            hint='for example ds.fit("price = w × size + b", "houses.csv")',
        )
    if data is None:
        if not _is_equation(equation):
            hint = f'for example ds.fit("price = w × size + b", {equation!r})'
            raise FormulaError("no equation is given to fit", hint=hint)
        raise DataError("no table is given to fit", hint=f'for example ds.fit("{equation}", "table.csv")')
    return equation, data


def _is_equation(value: Any) -> bool:
    """Tell whether something reads as an equation: text with an equals sign, or R's tilde, that is no file."""
    if not isinstance(value, str) or not ("=" in value or re.search(r"\S\s+~\s", value)):
        return False
    try:
        return not Path(value).is_file()
    except OSError:  # longer than any file's name
        return True


def equation(
    text: str, data: Any, *, units: Mapping[str, str] | None = None, parameters: Sequence[str] = ()
) -> EquationModel:
    """Read an equation over a table without fitting it: which names are columns, and which are parameters.

    Args:
        text: the equation: `price = w × size + b`.
        data: a file, a mapping of columns, or a frame; see `read_table`.
        units: units of columns.
        parameters: names that are parameters, although they are spelt much like a column.

    Returns:
        The equation, with its `columns`, its `parameters`, and `notes` on how it was read.

    Raises:
        FormulaError: for an equation that cannot be read, that has no parameter, or no column on its left side.
        DataError: for a table that cannot be used.

    >>> equation("price = w × size + b", {"size": [50, 100], "price": [110, 205]}).parameters
    ('w', 'b')
    """
    if not isinstance(parameters, Sequence):
        raise SettingError(
            f"parameters are names, not {described(parameters)}", hint='for example parameters=["w", "b"]'
        )
    table, named_units = in_units(read_table(data), mapping("units", units, '{"t": "hour"}'))
    return model_of(text, table, named_units, tuple(map(str, parameters)))


def _check_together(chosen: dict[str, Any]) -> None:
    """Check the choices that need no table, and raise for those that contradict each other or have no effect together.

    Args:
        chosen: all choices; the loss is replaced by its canonical name.
    """
    confidence = chosen["confidence"]
    if not (isinstance(confidence, int | float) and 0 < confidence < 1):
        raise SettingError(f"the confidence lies between 0 and 1, not {confidence}", hint="0.95 for 95 %")
    loss = chosen["loss"] = checked_loss(chosen["loss"])
    if loss in LIKELIHOODS:
        check_choices(loss, chosen["sigma"], chosen["absolute_sigma"], chosen["loss_scale"])
    else:
        _check_deviations(chosen, loss)
    if chosen["sigma_x"] is not None:
        check_together(chosen, loss)
    for name in ("fixed", "ties", "units"):
        mapping(name, chosen[name], "{'a': …}")


def _check_deviations(chosen: Mapping[str, Any], loss: str) -> None:
    """Raise for choices on deviations and the loss that have no effect together."""
    has_deviations = chosen["sigma"] is not None or chosen["weights"] is not None
    if chosen["absolute_sigma"] and not has_deviations:
        raise SettingError("absolute_sigma needs sigma or weights", hint="give sigma, or leave absolute_sigma out")
    if chosen["absolute_sigma"] and loss != "linear":
        raise SettingError(
            f"the errors of a {loss} fit follow from its residuals; absolute_sigma has no effect on them"
        )
    if chosen["loss_scale"] is not None and loss == "linear":
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
        deviations=rows.deviations,
    )
    return FitTask(model, problem, arguments, limits)


def _fit_of(
    task: FitTask,
    trace: Trace,
    verdict: Diagnosis,
    rows: CompleteRows,
    notes: tuple[str, ...],
    chosen: Mapping[str, Any],
    crew: Crew,
) -> Fit:
    """Build the result of a fit from its trace."""
    confidence, absolute_sigma = chosen["confidence"], chosen["absolute_sigma"]
    free = np.array([float(trace.end[name]) for name in task.problem.free])
    residuals, slopes = task.linearised(free)
    predicted = task.predicted(free)
    score = scores_of_loss(task.problem.loss, predicted, task.arguments)
    held = task.limits.pressed(free, slopes.T @ (residuals if score is None else score[0]))
    if task.problem.loss in LIKELIHOODS:
        factor = information_factor(task.problem.loss, predicted)
        slopes, residuals, score, absolute_sigma = slopes * factor[:, None], residuals * factor, None, True
    errors = uncertainty(slopes, residuals, held, absolute=absolute_sigma, scores=score)
    # What a solver calls still is converged only where the verdict on its end is.
    arrived = trace.outcome is Outcome.STALLED and "converged" in verdict
    bare = Fit(
        parameters=parameters_of(task.model, task.problem, task.arguments, free, held, errors, confidence),
        trace=replace(trace, outcome=Outcome.CONVERGED) if arrived else trace,
        findings=verdict,
        data=rows.columns,
        row_numbers=rows.numbers,
        left_out=rows.left_out,
        notes=notes,
        confidence=confidence,
        loss=task.problem.loss,
        loss_scale=float("nan")
        if task.problem.loss == "linear" or task.problem.loss in LIKELIHOODS
        else float(task.arguments.loss_scale),
        model=task.model,
        problem=task.problem,
        arguments=task.arguments,
        uncertainty=errors,
        objective=task.objective,
        bounds=task.limits.bounds,
        intervals=chosen["intervals"],
        aside=rows.aside,
        aside_groups=rows.aside_groups,
    )
    profiled = with_intervals(bare, crew)
    return replace(profiled, findings=findings_of(profiled, slopes))
