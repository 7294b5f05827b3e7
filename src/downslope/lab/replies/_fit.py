"""Fits: data, curve and bands, the steps to the parameters, the parameters with their errors, and the findings."""

from __future__ import annotations

import csv
import io
from typing import Any, cast

import numpy as np

import downslope as ds
from downslope._numbers import evenly_spread
from downslope._text import number
from downslope.lab._messages import LIMITS
from downslope.lab.replies._descent import verdict_reply
from downslope.lab.replies._examples import table_of, texts_of
from downslope.lab.replies._formula_verbs import grid_reply
from downslope.lab.replies._request import PageRequest, RequestError, program, rounded

LOSSES = ds.choices(ds.fit)["loss"].names
OWN_METHOD: str = ds.choices(ds.fit)["method"].default

_MOMENTS = 60  # steps that are shown
_POINTS = 300  # rows of the data that are drawn
_CURVE_POINTS = 140
_MOVING_DIGITS = 6  # significant digits of what changes from moment to moment


def equation(fields: dict[str, Any]) -> dict[str, Any]:
    """Return how an equation is read over a table."""
    model = _model(fields)
    return {
        "name": model.equation.left.read_as,
        "read_as": model.equation.read_as,
        "variables": [*model.parameters, *model.columns],
        "parameters": list(model.parameters),
        "notes": list(model.notes),
    }


def choices(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the losses and the methods, that of the fit itself first."""
    descents = [ds.method(name) for name in ds.method_names()]
    methods = [{"name": OWN_METHOD, "takes_rate": False}]
    return {
        "losses": list(LOSSES),
        "methods": methods + [{"name": method.name, "takes_rate": method.takes_rate} for method in descents],
    }


def fit(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a fit, with at most sixty moments of the descent to it."""
    formula = PageRequest(fields).text("formula")
    table_name, _ = table_of(fields)
    result, arguments = _fitted(fields)
    trace, model = result.trace, result.model
    rows = evenly_spread(len(trace.columns["step"]), _MOMENTS)
    points = evenly_spread(len(result.measured), _POINTS)
    paths = _paths(result, rows)
    predicted = _predicted(result, paths, points)
    across = predicted if result.along is None else [result.data[result.along][points]]
    headings, *cells = result.rows()
    return {
        "read_as": result.read_as,
        "equations": [model.with_values(values) for values in _moments(paths)],
        "notes": list(result.notes),
        "steps": [int(step) for step in trace.columns["step"][rows]],
        "steps_taken": trace.last_step,
        "values": rounded(trace.columns["value"][rows]),
        "value_text": number(trace.value),
        "first_text": number(float(trace.columns["value"][0])),
        "outcome": trace.ending,
        "verdict": verdict_reply(result.findings),
        "parameters": {"headings": list(headings), "cells": [list(row) for row in cells]},
        "summary": [list(pair) for pair in result.summary()],
        "ends": {name: float(f"{value:.6g}") for name, value in result.values.items()},
        "free": [name for name in result.free if name in trace.coordinate_names],
        "path": {name: rounded(path) for name, path in paths.items()},
        "table": _step_table(result, rows, paths),
        "data": {
            "along": result.along or f"{model.equation.left.read_as}, predicted",
            "up": model.equation.left.read_as,
            "x": [rounded(moment, _MOVING_DIGITS) for moment in across],
            "y": rounded(result.measured[points]),
            "rows": len(result.measured),
        },
        "curve": _curve(result, paths),
        "residuals": [rounded(result.measured[points] - moment, _MOVING_DIGITS) for moment in predicted],
        "python": _python(formula, table_name, arguments),
        "command": ds.as_command(ds.fit, formula, table_name, **arguments),
    }


def fit_grid(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the loss over one or two free parameters, the others at their fitted values."""
    request = PageRequest(fields)
    result, _ = _fitted(fields)
    over = tuple(request.names("over"))
    if not 1 <= len(over) <= 2 or len(set(over)) != len(over) or not set(over) <= set(result.trace.coordinate_names):
        raise RequestError("The loss is shown over one or two of the free parameters.")
    box = request.box("box", over) or ds.draw.box(result.trace, over)
    end = {name: value for name, value in result.values.items() if name in (result.objective.names or ())}
    return grid_reply(result.objective, over, box, end)


def fit_export(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the rows of the table with predictions and residuals, as a file of comma-separated values."""
    result, _ = _fitted(fields)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*result.data, "predicted", "residual"])
    for row in zip(*result.data.values(), result.predicted, result.residuals, strict=True):
        writer.writerow([repr(float(cell)) for cell in row])
    return {"name": "fit.csv", "text": file.getvalue()}


def _model(fields: dict[str, Any]) -> ds.EquationModel:
    """Return the equation of a request, read over its table."""
    text = PageRequest(fields).text("formula")
    if len(text) > LIMITS.formula:
        raise ds.FormulaError(
            f"this formula has {len(text)} characters; the lab reads up to {LIMITS.formula}",
            hint="in Python there is no such limit",
        )
    units = texts_of(fields, "units")
    model = ds.equation(text, table_of(fields)[1], units=units, parameters=tuple(fields.get("start") or {}))
    if len(model.parameters) > LIMITS.variables:
        raise ds.FormulaError(
            f"this equation has {len(model.parameters)} parameters; the lab finds up to {LIMITS.variables}",
            hint="in Python there is no such limit",
        )
    return model


def _fitted(fields: dict[str, Any]) -> tuple[ds.Fit, dict[str, Any]]:
    """Return a fit, and its arguments other than equation and table."""
    request = PageRequest(fields)
    model = _model(fields)
    method, loss = request.text("method"), request.text("loss")
    units = texts_of(fields, "units")
    arguments: dict[str, Any] = {"units": units} if units else {}
    for field in ("start", "fixed"):
        values = request.point(field, model.parameters)
        if values:
            arguments[field] = values
    if loss != LOSSES[0]:
        arguments["loss"] = loss
    if method != OWN_METHOD:
        arguments |= {"method": method, "steps": request.steps}
        rate = request.number_or_none("rate")
        if rate is not None and ds.method(method).takes_rate:
            arguments["learning_rate"] = rate
    result = cast("ds.Fit", ds.fit(request.text("formula"), table_of(fields)[1], **arguments))  # the page has no groups
    reading = texts_of(fields, "reading")
    return result, arguments | ({"table": reading} if reading else {})


def _paths(result: ds.Fit, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return each parameter by moment; parameters that are held have the same value at all."""
    trace = result.trace
    assert trace.coordinates is not None  # the lab's limit of parameters is below that of a record
    columns = dict(zip(trace.coordinate_names, trace.coordinates[rows].T, strict=True))
    return {name: columns.get(name, np.full(len(rows), result[name])) for name in result.parameters}


def _python(formula: str, table: str, arguments: dict[str, Any]) -> str:
    more = "".join(f", {name}={value!r}" for name, value in arguments.items())
    return program("result", f"ds.fit({formula!r}, {table!r}{more})", "result", "result.findings")


def _step_table(result: ds.Fit, rows: np.ndarray, paths: dict[str, np.ndarray]) -> dict[str, Any]:
    columns = result.trace.columns
    steps = [int(step) for step in columns["step"][rows]]
    cells = [
        [str(step), *map(number, values.values()), number(float(value))]
        for step, values, value in zip(steps, _moments(paths), columns["value"][rows], strict=True)
    ]
    return {"steps": steps, "headings": ["step", *paths, "mean square"], "cells": cells}


def _curve(result: ds.Fit, paths: dict[str, np.ndarray]) -> dict[str, Any] | None:
    """Return the curve at each moment and its bands at the end; None for a model of several columns."""
    if result.along is None:
        return None
    columns = result.columns_along(result.along, _CURVE_POINTS)
    with np.errstate(all="ignore"):
        lines = [result.model.predicted(values, columns) for values in _moments(paths)]
    return {
        "x": rounded(columns[result.along]),
        "moments": [rounded(line, _MOVING_DIGITS) for line in lines],
        "bands": [
            {"what": label, "low": rounded(low, _MOVING_DIGITS), "high": rounded(high, _MOVING_DIGITS)}
            for label, low, high in result.bands(columns)
        ],
    }


def _predicted(result: ds.Fit, paths: dict[str, np.ndarray], points: np.ndarray) -> list[np.ndarray]:
    """Return the predictions at each moment for the rows that are drawn."""
    data = {name: column[points] for name, column in result.data.items()}
    with np.errstate(all="ignore"):
        return [result.model.predicted(values, data) for values in _moments(paths)]


def _moments(paths: dict[str, np.ndarray]) -> list[dict[str, float]]:
    """Return the parameters of each moment."""
    return [dict(zip(paths, map(float, values), strict=True)) for values in zip(*paths.values(), strict=True)]
