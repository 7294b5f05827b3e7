"""The fit: data, curve and bands, what moved on the way, the parameters, and what was found."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np

import downslope as ds
from downslope._text import number
from downslope.draw._fit import along_of, band_of, room_of
from downslope.fitting._model import EquationModel, model_of
from downslope.fitting._report import summary, table
from downslope.formulas import book, with_numbers
from downslope.lab._limits import LIMITS
from downslope.lab.replies import _writing
from downslope.lab.replies._descent import verdict
from downslope.lab.replies._grid import box_around, ground_in
from downslope.lab.replies._request import Request, RequestError, kept, shown
from downslope.lab.replies._tables import table_of

LOSSES = ("linear", "huber", "soft-L1", "cauchy")
OWN_METHOD = "levenberg-marquardt"
_FRAMES = 60  # of the way that are shown
_POINTS = 300  # of the data that are drawn
_CURVE = 140  # points of the curve
_MOVED = 6  # significant digits of what only moves


def equation(told: dict[str, Any]) -> dict[str, Any]:
    """Return how an equation is read over a table."""
    model = _model(told)
    return {
        "name": model.equation.left.read_as,
        "read_as": model.equation.read_as,
        "variables": [*model.parameters, *model.columns],
        "parameters": list(model.parameters),
        "notes": list(model.notes),
    }


def choices(told: dict[str, Any]) -> dict[str, Any]:
    """Return the losses and the methods there are."""
    known = [ds.method(name) for name in ds.method_names()]
    methods = [{"name": OWN_METHOD, "takes_rate": False}]
    return {
        "losses": list(LOSSES),
        "methods": methods + [{"name": one.name, "takes_rate": one.takes_rate} for one in known],
    }


def fit(told: dict[str, Any]) -> dict[str, Any]:
    """Return a fit, and at most sixty moments of the way to it."""
    request = Request(told)
    name, _ = table_of(told)
    found, asked = _fit(told)
    trace = found.trace
    frames = kept(len(trace.columns["step"]), _FRAMES)
    along = along_of(found)
    points = kept(len(found.measured), _POINTS)
    ways = _ways(found, frames)
    predicted = _predicted(found, ways, points)
    across = predicted if along is None else [found.data[along][points]]
    return {
        "read_as": found.read_as,
        "equations": _equations(found, ways),
        "notes": list(found.notes),
        "steps": [int(step) for step in trace.columns["step"][frames]],
        "steps_taken": trace.last_step,
        "values": shown(trace.columns["value"][frames]),
        "value_text": number(trace.value),
        "first_text": number(float(trace.columns["value"][0])),
        "outcome": trace.outcome.value,
        "verdict": verdict(found.findings),
        "parameters": {"headings": list(table(found)[0]), "cells": [list(row) for row in table(found)[1:]]},
        "summary": [list(pair) for pair in summary(found)],
        "ends": {one: float(f"{value:.6g}") for one, value in found.values.items()},
        "free": [one for one in found.free if one in trace.coordinate_names],
        "path": {one: shown(way) for one, way in ways.items()},
        "table": _table(found, frames, ways),
        "data": {
            "along": along or f"{found.model.equation.left.read_as}, predicted",
            "up": found.model.equation.left.read_as,
            "x": [shown(moment, _MOVED) for moment in across],
            "y": shown(found.measured[points]),
            "rows": len(found.measured),
        },
        "curve": _curve(found, along, ways),
        "residuals": [shown(found.measured[points] - moment, _MOVED) for moment in predicted],
        "python": _writing.fit_python(request.text("formula"), name, asked),
        "command": _writing.fit_command(request.text("formula"), name, asked),
    }


def fit_ground(told: dict[str, Any]) -> dict[str, Any]:
    """Return the loss over one or two free parameters, the others staying where they ended."""
    request = Request(told)
    found, _ = _fit(told)
    over = tuple(request.names("over"))
    if not 1 <= len(over) <= 2 or len(set(over)) != len(over) or not set(over) <= set(found.trace.coordinate_names):
        raise RequestError("The loss is shown over one or two of the free parameters.")
    box = request.box("box", over) or box_around(found.trace, over)
    end = {name: one.value for name, one in found.parameters.items() if name in (found.objective.names or ())}
    return ground_in(found.objective, over, box, end)


def fit_export(told: dict[str, Any]) -> dict[str, Any]:
    """Return the rows of the table with what the fit predicts and leaves over, as a file."""
    found, _ = _fit(told)
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*found.data, "predicted", "residual"])
    for row in zip(*found.data.values(), found.predicted, found.residuals, strict=True):
        writer.writerow([repr(float(cell)) for cell in row])
    return {"name": "fit.csv", "text": file.getvalue()}


def _model(told: dict[str, Any]) -> EquationModel:
    """Return the equation of a request, read over its table."""
    text = Request(told).text("formula")
    if len(text) > LIMITS.formula:
        raise ds.FormulaError(
            f"this formula has {len(text)} characters; the lab reads up to {LIMITS.formula}",
            hint="in Python there is no such limit",
        )
    model = model_of(text, table_of(told)[1], None, tuple(told.get("start") or {}))
    if len(model.parameters) > LIMITS.variables:
        raise ds.FormulaError(
            f"this equation has {len(model.parameters)} parameters; the lab finds up to {LIMITS.variables}",
            hint="in Python there is no such limit",
        )
    return model


def _fit(told: dict[str, Any]) -> tuple[ds.Fit, dict[str, Any]]:
    """Return a fit, and what was asked for besides equation and table."""
    request = Request(told)
    model = _model(told)
    method, loss = request.text("method"), request.text("loss")
    asked: dict[str, Any] = {}
    for field in ("start", "fixed"):
        given = request.point(field, model.parameters)
        if given:
            asked[field] = given
    if loss != LOSSES[0]:
        asked["loss"] = loss
    if method != OWN_METHOD:
        asked |= {"method": method, "steps": request.steps}
        rate = request.number_or_none("rate")
        if rate is not None and ds.method(method).takes_rate:
            asked["learning_rate"] = rate
    if "start" in asked and set(asked["start"]) | set(asked.get("fixed", {})) != set(model.parameters):
        del asked["start"]  # a start is given whole, or searched
    return ds.fit(request.text("formula"), table_of(told)[1], **asked), asked


def _ways(found: ds.Fit, frames: np.ndarray) -> dict[str, np.ndarray]:
    """Return each parameter at each moment; those that are held stay where they are."""
    trace = found.trace
    assert trace.coordinates is not None  # the lab's limit of parameters is below that of a record
    places = {name: place for place, name in enumerate(trace.coordinate_names)}
    moving = {name: trace.coordinates[frames, place] for name, place in places.items()}
    held = {name: np.full(len(frames), found[name]) for name in found.parameters if name not in places}
    return {name: (moving | held)[name] for name in found.parameters}


def _equations(found: ds.Fit, ways: dict[str, np.ndarray]) -> list[str]:
    """Return the equation at each moment, numbers in the place of its parameters."""
    left, right = found.model.equation.left.read_as, found.model.equation.right.body
    return [f"{left} = {book(with_numbers(right, values))}" for values in _moments(ways)]


def _table(found: ds.Fit, frames: np.ndarray, ways: dict[str, np.ndarray]) -> dict[str, Any]:
    columns = found.trace.columns
    steps = [int(step) for step in columns["step"][frames]]
    cells = [
        [str(step), *map(number, values.values()), number(float(value))]
        for step, values, value in zip(steps, _moments(ways), columns["value"][frames], strict=True)
    ]
    return {"steps": steps, "headings": ["step", *ways, "mean square"], "cells": cells}


def _curve(found: ds.Fit, along: str | None, ways: dict[str, np.ndarray]) -> dict[str, Any] | None:
    """Return the curve at each moment, and at the end the band in which it lies."""
    if along is None:
        return None
    x, place = room_of(found, along, _CURVE)
    with np.errstate(all="ignore"):
        lines = [found.model.predicted(values, place) for values in _moments(ways)]
        bands = band_of(found, place)
    return {
        "x": shown(x),
        "moments": [shown(line, _MOVED) for line in lines],
        "bands": [{"what": what, "low": shown(low, _MOVED), "high": shown(high, _MOVED)} for what, low, high in bands],
    }


def _predicted(found: ds.Fit, ways: dict[str, np.ndarray], points: np.ndarray) -> list[np.ndarray]:
    """Return what is predicted at each moment for the rows that are drawn."""
    data = {name: column[points] for name, column in found.data.items()}
    with np.errstate(all="ignore"):
        return [found.model.predicted(values, data) for values in _moments(ways)]


def _moments(ways: dict[str, np.ndarray]) -> list[dict[str, float]]:
    """Return the parameters of each moment."""
    return [dict(zip(ways, map(float, values), strict=True)) for values in zip(*ways.values(), strict=True)]
