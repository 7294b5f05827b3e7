"""Verbs of a formula: its picture, reading, derivatives, methods and learning rates."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import downslope as ds
from downslope._text import number
from downslope._types import plain
from downslope.lab.replies._request import Box, PageRequest, filling, rounded

_STARTS = (4.0, 3.0, 2.0, 1.0)  # of the first variables; any further variable starts at 1
_SCALES = (1.0, 0.5, 0.1, -1.0, 10.0, 100.0)  # tried in turn
_STEEPEST, _FLATTEST = 1e6, 1e-9  # gradient norms between which a start suits
_DIFFERENCE = 1e-6
_SWEEP_STEPS = 2000
_NO_RATES = {"stable": None, "bound": None, "best": None, "slider": None, "curve": None}


def read(fields: dict[str, Any]) -> dict[str, Any]:
    """Return how a formula is read: its name, its variables, notes, and a start that suits it."""
    objective = PageRequest(fields).objective
    formula = objective.formula
    assert formula is not None
    return {
        "name": objective.name,
        "read_as": objective.read_as,
        "variables": list(objective.names or ()),
        "notes": list(formula.notes),
        "start": start_of(formula),
    }


def derive(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the derivative by each variable, with the rules used."""
    formula = PageRequest(fields).objective.formula
    assert formula is not None
    return {"derivations": [_derivation(formula, name) for name in formula.variables]}


def methods(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the methods, the plainest first."""
    known = [ds.method(name) for name in ds.method_names()]
    return {
        "methods": [
            {
                "name": method.name,
                "takes_rate": method.takes_rate,
                "default_rate": method.default_rate if method.takes_rate else None,
                "in_races": method.spec.in_races,
            }
            for method in known
        ]
    }


def start_of(formula: ds.Formula) -> dict[str, float]:
    """Return a start at which a formula has a value and a slope that is neither zero nor enormous."""
    names = formula.variables
    pattern = [_STARTS[index] if index < len(_STARTS) else 1.0 for index in range(len(names))]
    points = [[scale * coordinate for coordinate in pattern] for scale in _SCALES]
    finite = []
    for point in points:
        steepness = _steepness(formula, point)
        if _FLATTEST < steepness < _STEEPEST:
            start = point
            break
        finite += [point] if np.isfinite(steepness) else []
    else:
        start = [*finite, points[0]][0]
    return {name: float(f"{coordinate:.6g}") for name, coordinate in zip(names, start, strict=True)}


def _steepness(formula: ds.Formula, point: list[float]) -> float:
    """Return the gradient norm by central differences, NaN where the formula has no value.

    Differences and not the exact gradient: they need no compilation, and the page waits for this reply at each key.
    """
    centre = np.array(point)

    def value(coordinates: np.ndarray) -> float:
        named = dict(zip(formula.variables, map(float, coordinates), strict=True))
        try:
            with np.errstate(all="ignore"):
                return float(formula(**named))
        except (ArithmeticError, ValueError):
            return np.nan

    moves = _DIFFERENCE * np.eye(len(centre))
    return math.hypot(*((value(centre + move) - value(centre - move)) / (2 * _DIFFERENCE) for move in moves))


def _derivation(formula: ds.Formula, by: str) -> dict[str, Any]:
    steps = ds.derive(formula, by).as_dict()["steps"]  # the last one gives the answer
    return {"by": by, "derivative": steps[-1]["after"], "steps": [_step(step) for step in steps]}


def _step(step: dict[str, Any]) -> dict[str, str]:
    bindings = ", ".join(f"{name} = {expression}" for name, expression in step["bindings"].items())
    return {
        "number": step["number"],
        "rule": step["rule"].replace("_", " "),
        "from": step["before"],
        "to": " = ".join([*step["worked"], step["after"]]),
        "text": step["sentence"],
        "law": f"{step['law']} with {bindings}" if bindings else step["law"],
    }


def rates(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the stable learning rates from a start, the best, and the value at the end by rate."""
    plan = PageRequest(fields).plan
    if not plan.method.takes_rate:
        return {**_NO_RATES, "text": f"{plan.method.name} finds the length of each step by itself."}
    steps = min(max(plan.steps, 1), _SWEEP_STEPS)
    result = ds.sweep(plan.objective, dict(plan.start), method=plan.method, steps=steps)
    low, high = float(result.rates[0]), float(result.rates[-1])
    bound = result.largest_stable_rate
    return {
        "stable": None if bound is None else [low, bound],
        "bound": plain(bound),
        "best": plain(result.best_rate),
        "slider": [low, high],
        "curve": {"rates": rounded(result.rates), "values": rounded(result.values)},
        "text": _rate_text(bound, result.best_rate),
    }


def _rate_text(bound: float | None, best: float) -> str:
    if bound is None:
        return f"Best α = {number(best, 3)}; this method has no fixed bound."
    return f"Stable up to α = {number(bound, 3)}, best α = {number(best, 3)}."


# An objective over one or two variables: a curve, or bands, lines of equal height and the heights of a surface.


_CURVE_POINTS = 400
_GRID_POINTS = 121  # along each axis
_MESH_EVERY = 2  # of the points along each axis, for a surface
_HEIGHTS = 1000  # between the lowest and the highest of a surface, whose heights are counted in them
_CELLS = 3000  # of the box along each axis, which a coordinate of a contour tells apart
_THINNINGS = 3  # of the points of a contour; each leaves out every other one at most
_OFF_CHORD = 0.4  # cells: a tenth of a pixel
_SHADES = (0.08, 1.0)  # of the lowest and the highest band

Counting = Callable[[np.ndarray], list[int]]


def grid(fields: dict[str, Any]) -> dict[str, Any]:
    """Return an objective in a box, or around the start where the request has no box."""
    request = PageRequest(fields)
    objective = request.objective
    over, start = request.over(objective), request.start(objective)
    box = request.box("box", over) or ds.draw.box(start, over, objective=objective)
    box = filling(box, over, request.number_or_none("ratio"), is_equal=request.truth_or_none("equal"))
    return grid_reply(objective, over, box, start, with_heights=bool(request.truth_or_none("heights")))


def grid_reply(
    objective: ds.Objective,
    over: tuple[str, ...],
    box: Box,
    at: Mapping[str, float],
    *,
    with_heights: bool = False,
) -> dict[str, Any]:
    """Return an objective in a box.

    Args:
        objective: the objective.
        over: the one or two variables along the axes.
        box: the range of each of them.
        at: the values of all other variables.
        with_heights: also return the heights of a surface over two variables.
    """
    box = {name: _not_empty(*box[name]) for name in over}
    is_curve = len(over) == 1
    shape = _curve(objective, over[0], box, at) if is_curve else _contours(objective, over, box, at, with_heights)
    return {"over": list(over), "box": {name: list(span) for name, span in box.items()}, **shape}


def _not_empty(low: float, high: float) -> tuple[float, float]:
    """Return a range, widened if it is empty."""
    least = 1e-9 * max(1.0, abs(low), abs(high))
    return (low, high) if high - low > least else (low - least, high + least)


def _curve(objective: ds.Objective, name: str, box: Box, at: Mapping[str, float]) -> dict[str, Any]:
    line = ds.draw.grid(objective, box, at=at, count=_CURVE_POINTS, breaks=True)
    curve = {name: rounded(line.axes[name]), "f": rounded(line.heights)}
    return {"curve": curve, "f_range": list(line.height_range)}


def _contours(
    objective: ds.Objective, over: tuple[str, ...], box: Box, at: Mapping[str, float], with_heights: bool
) -> dict[str, Any]:
    """Return bands between the levels, as polygons, and lines at them, their points in cells of the box."""
    from contourpy import FillType, LineType, contour_generator

    ground = ds.draw.grid(objective, box, at=at, count=_GRID_POINTS)
    axes, heights = ground
    mesh = heights_reply(heights[::_MESH_EVERY, ::_MESH_EVERY], *ground.height_range) if with_heights else None
    levels = [float(level) for level in ds.draw.levels(heights)]
    if len(levels) < 2:
        return {"levels": [], "bands": [], "lines": [], "cells": _CELLS, "heights": mesh}
    masked = np.ma.masked_invalid(heights)
    kinds = {"fill_type": FillType.OuterOffset, "line_type": LineType.Separate}
    contours: Any = contour_generator(axes[over[0]], axes[over[1]], masked, name="serial", **kinds)
    counting = _counting(box, over)
    low, high = float(masked.min()), float(masked.max())
    # The first and the last band reach beyond the extremes, so that no rounding leaves a gap at them.
    edges = [low - (levels[1] - levels[0]), *levels, high + (levels[-1] - levels[-2])]
    shades = np.linspace(*_SHADES, len(edges) - 1)
    bands = [
        {
            "level": lower,
            "shade": round(float(shade), 3),
            "polygons": _polygons(contours.filled(lower, upper), counting),
        }
        for lower, upper, shade in zip(edges[:-1], edges[1:], shades, strict=True)
        if upper > lower
    ]
    lines = [{"level": level, "lines": [counting(line) for line in contours.lines(level)]} for level in levels]
    return {"levels": levels, "bands": bands, "lines": lines, "cells": _CELLS, "heights": mesh}


def heights_reply(heights: np.ndarray, low: float, high: float) -> dict[str, Any]:
    """Return heights on a square mesh as whole numbers, row by row from below; −1 where there is none.

    What is higher than the largest number is one more, so that a page can leave it open.

    Args:
        heights: shape (side, side), whose rows follow the second variable.
        low: the height that 0 stands for; what lies below is cut off.
        high: the height that the largest number stands for; what lies above is cut off.
    """
    share = np.clip((np.nan_to_num(heights) - low) / ((high - low) or 1.0), 0, 1)
    counted = np.where(heights > high, _HEIGHTS + 1, np.where(np.isfinite(heights), np.rint(_HEIGHTS * share), -1))
    return {
        "low": low,
        "high": high,
        "steps": _HEIGHTS,
        "side": len(heights),
        "values": counted.astype(int).ravel().tolist(),
    }


def _polygons(filled: Any, counting: Counting) -> list[list[list[int]]]:
    """Return polygons as lists of rings, the outer ring first."""
    points, offsets = filled
    return [
        [counting(ring[first:last]) for first, last in itertools.pairwise(ends)]
        for ring, ends in zip(points, offsets, strict=True)
    ]


def _counting(box: Box, over: tuple[str, ...]) -> Counting:
    """Return the function from the points of a line to their coordinates one after another, in whole cells of a box.

    Contours are most of a reply. Whole numbers are written and read several times as fast as fractions, and a cell is
    finer than a pixel.
    """
    low, high = np.array([box[name] for name in over]).T

    def counting(line: np.ndarray) -> list[int]:
        cells = _thinned((line - low) * (_CELLS / (high - low)))
        return np.rint(cells).astype(int).ravel().tolist()

    return counting


def _thinned(points: np.ndarray) -> np.ndarray:
    """Return a line, shape (points, 2), without most of the points that lie on the chord of their neighbours."""
    for _ in range(_THINNINGS):
        before, middle, after = points[:-2:2], points[1:-1:2], points[2::2]
        (across, up), (along, above) = (after - before).T, (middle - before).T
        is_bend = np.ones(len(points), bool)
        is_bend[1:-1:2] = np.abs(across * above - up * along) > _OFF_CHORD * np.hypot(across, up)
        points = points[is_bend]
    return points
