"""Verbs of the lessons: secants that approach a tangent, slices through a point, and slopes in every direction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import downslope as ds
from downslope.lab.replies._formula_verbs import start_of
from downslope.lab.replies._request import Box, PageRequest, RequestError, rounded, rounded_number

_CURVE_POINTS = 161
_SLICE_POINTS = 61
_LATTICE = 21  # points along each axis, from which the heights of a landscape are known
_WIDTHS = 32  # secants of one request
_DIRECTIONS = 360
_WANTED = {1: ("one variable", "for example x² − 4x + 5"), 2: ("two variables", "for example x² + 2y²")}
_MARGIN = 0.06  # of the heights that a picture shows


def secants(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a curve, its slope at each point, and secants from the start to points at some widths beside it.

    Without a start the one that suits the formula is taken, without a box the one around the start.
    """
    request = PageRequest(fields)
    objective, start = _objective_and_start(request, fields, variables=1)
    name = next(iter(start))
    box = request.box("box", (name,)) or ds.draw.box(start, (name,), objective=objective)
    line = ds.draw.grid(objective, box, count=_CURVE_POINTS, breaks=True)
    abscissae, heights = line.axes[name], line.heights
    slopes = np.array([_value_and_slopes(objective, {name: x})[1][0] for x in abscissae])
    slopes[~np.isfinite(heights)] = np.nan
    value, (slope,) = _value_and_slopes(objective, start)
    return {
        "name": objective.name,
        "read_as": objective.read_as,
        "variable": name,
        "start": start,
        "box": {name: list(box[name])},
        "curve": {name: rounded(abscissae), "f": rounded(heights, 6), "slope": rounded(slopes, 6)},
        "f_range": list(line.height_range),
        "slope_range": _range_with_zero(slopes, heights, line.height_range),
        "value": rounded_number(value),
        "slope": rounded_number(slope),
        "secants": [_secant(objective, name, start[name], value, width) for width in _widths(fields)],
    }


def _secant(objective: ds.Objective, name: str, start: float, value: float, width: float) -> dict[str, Any]:
    """Return the secant from a point to the one at a width beside it."""
    end = _value_and_slopes(objective, {name: start + width})[0]
    return {
        "width": width,
        "end": start + width,
        "value": rounded_number(end),
        "slope": rounded_number((end - value) / width),
    }


def _widths(fields: Mapping[str, Any]) -> list[float]:
    widths = fields.get("widths")
    if not isinstance(widths, list) or len(widths) > _WIDTHS or not all(_is_width(width) for width in widths):
        raise RequestError(f"The request has no widths: up to {_WIDTHS} numbers that are not zero.")
    return [float(width) for width in widths]


def _is_width(width: Any) -> bool:
    return isinstance(width, int | float) and not isinstance(width, bool) and width != 0


def slices(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a function of two variables along either of them through a point, and its partial derivatives there."""
    request = PageRequest(fields)
    objective, start = _objective_and_start(request, fields, variables=2)
    over = objective.names or ()
    box = request.box("box", over) or ds.draw.box(start, over, objective=objective)
    value, gradient = _value_and_slopes(objective, start)
    return {
        "name": objective.name,
        "read_as": objective.read_as,
        "over": list(over),
        "start": start,
        "box": {name: list(box[name]) for name in over},
        "f_range": _heights_in(objective, box),
        "value": rounded_number(value),
        "gradient": {name: rounded_number(slope) for name, slope in zip(over, gradient, strict=True)},
        "slices": {name: _slice(objective, name, box[name], start) for name in over},
    }


def _slice(objective: ds.Objective, name: str, span: tuple[float, float], start: Mapping[str, float]) -> dict[str, Any]:
    """Return a function along one of its variables."""
    line = ds.draw.grid(objective, {name: span}, at=start, count=_SLICE_POINTS, breaks=True)
    return {"at": rounded(line.axes[name]), "f": rounded(line.heights, 6)}


def _heights_in(objective: ds.Objective, box: Box) -> list[float]:
    """Return the heights that a box of two variables shows: the same for each point in it."""
    return list(ds.draw.grid(objective, box, count=_LATTICE).height_range)


def compass(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the gradient at a point, and the slope by direction: angles counted from the first variable."""
    request = PageRequest(fields)
    objective, start = _objective_and_start(request, fields, variables=2)
    count = fields.get("directions")
    if isinstance(count, bool) or not isinstance(count, int) or not 4 <= count <= _DIRECTIONS:
        raise RequestError(f"The number of directions is a whole number from 4 to {_DIRECTIONS}.")
    over = objective.names or ()
    value, gradient = _value_and_slopes(objective, start)
    angles = np.arange(count) * (360 / count)
    turns = np.radians(angles)
    along = np.cos(turns) * gradient[0] + np.sin(turns) * gradient[1]
    return {
        "name": objective.name,
        "read_as": objective.read_as,
        "over": list(over),
        "start": start,
        "value": rounded_number(value),
        "gradient": {name: rounded_number(slope) for name, slope in zip(over, gradient, strict=True)},
        "steepness": rounded_number(math.hypot(*gradient)),
        "uphill": rounded_number(math.degrees(math.atan2(gradient[1], gradient[0])) % 360),
        "angles": rounded(angles),
        "slopes": rounded(along, 6),
    }


def _objective_and_start(
    request: PageRequest, fields: Mapping[str, Any], *, variables: int
) -> tuple[ds.Objective, dict[str, float]]:
    """Return a formula of so many variables, and the start of the request or the one that suits it."""
    objective = request.objective
    names = objective.names or ()
    if len(names) != variables:
        wanted, example = _WANTED[variables]
        raise ds.FormulaError(f"this picture is of a function of {wanted}, not of {len(names)}", hint=example)
    assert objective.formula is not None
    return objective, start_of(objective.formula) if fields.get("start") is None else request.start(objective)


def _value_and_slopes(objective: ds.Objective, point: Mapping[str, float]) -> tuple[float, Sequence[float]]:
    """Return the value and the derivative by each variable; NaN where there is none."""
    numeric = objective.numeric
    assert numeric is not None  # every objective of the lab is a formula
    try:
        with np.errstate(all="ignore"):
            value, slopes = numeric.value_and_gradient([float(point[name]) for name in numeric.variables])
    except (ArithmeticError, ValueError):
        return math.nan, [math.nan] * len(point)
    return float(value), [float(slope) for slope in slopes]


def _range_with_zero(slopes: np.ndarray, heights: np.ndarray, shown: tuple[float, float]) -> list[float]:
    """Return the range of the slopes where the curve is in sight, with 0 in it."""
    low, high = shown
    with np.errstate(invalid="ignore"):
        in_sight = slopes[np.isfinite(slopes) & (heights >= low) & (heights <= high)]
    low, high = min(0.0, float(in_sight.min(initial=0.0))), max(0.0, float(in_sight.max(initial=0.0)))
    slack = _MARGIN * (high - low) or 1.0
    return [low - slack, high + slack]
