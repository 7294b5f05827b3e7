"""The ground under the way: the curve over one variable, or bands and lines of equal height over two."""

from __future__ import annotations

import base64
import io
import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import downslope as ds
from downslope.draw import _grid as drawn
from downslope.draw import _style as style
from downslope.draw import levels
from downslope.lab.replies._request import Box, Request, RequestError, plan_of, shown

_CURVE = 400  # points of a curve
_GRID = 120  # points of the ground along each axis
_FINE = 3000  # parts of the box that a coordinate of a contour tells apart
_STEEPEST_SHARE = 0.92  # of the points of a curve are to be seen; a wall may go out of the picture
_MARGIN = 0.06
_SHADES = (0.08, 1.0)


def ground(told: dict[str, Any]) -> dict[str, Any]:
    """Return the ground in a box, or around the start where no box is asked for."""
    request = Request(told)
    objective = request.objective
    over, start = request.over(objective), request.start(objective)
    box = request.box("box", over) or drawn.window(over, np.array([[start[name] for name in over]]), None)
    return ground_in(objective, over, box, start)


def ground_in(objective: ds.Objective, over: tuple[str, ...], box: Box, start: Mapping[str, float]) -> dict[str, Any]:
    """Return the ground in a box.

    Args:
        objective: what is high and low there.
        over: the one or two variables along the axes.
        box: the range of each of them.
        start: where all other variables are.
    """
    box = {name: _opened(*box[name]) for name in over}
    found = _curve(objective, over[0], box, start) if len(over) == 1 else _contours(objective, over, box, start)
    return {"over": list(over), "box": {name: list(span) for name, span in box.items()}, **found}


def box_around(trace: ds.Trace, over: tuple[str, ...]) -> Box:
    """Return the range to show along each variable, so that the way is seen and its end lies well inside."""
    centre = [float(trace.end[name]) for name in over]
    return drawn.roomy(drawn.window(over, drawn.path(trace, over), None), None, list(centre))


def _opened(low: float, high: float) -> tuple[float, float]:
    """Return a range that is not empty."""
    least = 1e-9 * max(1.0, abs(low), abs(high))
    return (low, high) if high - low > least else (low - least, high + least)


def _curve(objective: ds.Objective, name: str, box: Box, start: Mapping[str, float]) -> dict[str, Any]:
    along = np.linspace(*box[name], _CURVE)
    height = drawn.along(objective, name, along, start)
    low, high = _range(height)
    return {"curve": {name: shown(along), "f": shown(height)}, "f_range": [low, high]}


def _range(height: np.ndarray) -> tuple[float, float]:
    """Return the heights to show: all of them, but for a wall that would flatten the rest."""
    finite = height[np.isfinite(height)]
    if len(finite) == 0:
        return (0.0, 1.0)
    low, high = float(finite.min()), float(finite.max())
    most = float(np.quantile(finite, _STEEPEST_SHARE))
    least = float(np.quantile(finite, 1 - _STEEPEST_SHARE))
    if high - low > 20 * (most - least) > 0:
        low, high = max(low, least - (most - least)), min(high, most + (most - least))
    margin = _MARGIN * (high - low) or 0.5 * max(1.0, abs(high))
    return (low - margin, high + margin)


def _contours(objective: ds.Objective, over: tuple[str, ...], box: Box, start: Mapping[str, float]) -> dict[str, Any]:
    from contourpy import FillType, LineType, contour_generator

    names = (over[0], over[1])
    x, y, height = drawn.over_grid(objective, names, box, start, _GRID)
    found = [float(level) for level in levels(height)]
    if len(found) < 2:
        return {"levels": [], "bands": [], "lines": []}
    masked = np.ma.masked_invalid(height)
    kinds = {"fill_type": FillType.OuterOffset, "line_type": LineType.Separate}
    made: Any = contour_generator(x, y, masked, name="serial", **kinds)
    rounded = _rounding(box, over)
    low, high = float(masked.min()), float(masked.max())
    edges = [low - (found[1] - found[0]), *found, high + (found[-1] - found[-2])]
    shades = np.linspace(*_SHADES, len(edges) - 1)
    bands = [
        {"level": lower, "shade": round(float(shade), 3), "polygons": _polygons(made.filled(lower, upper), rounded)}
        for lower, upper, shade in zip(edges[:-1], edges[1:], shades, strict=True)
        if upper > lower
    ]
    lines = [{"level": level, "lines": [rounded(line) for line in made.lines(level)]} for level in found]
    return {"levels": found, "bands": bands, "lines": lines}


def _polygons(filled: Any, rounded: Callable[[np.ndarray], list[list[float]]]) -> list[list[list[list[float]]]]:
    """Return polygons as GeoJSON has them: each a list of rings, the outer one first."""
    points, offsets = filled
    return [
        [rounded(ring[first:last]) for first, last in itertools.pairwise(places)]
        for ring, places in zip(points, offsets, strict=True)
    ]


def _rounding(box: Box, over: tuple[str, ...]) -> Callable[[np.ndarray], list[list[float]]]:
    """Return the function that rounds the points of a line to what can be told apart in a box."""
    finest = [(box[name][1] - box[name][0]) / _FINE for name in over]
    places = [min(15, math.ceil(-math.log10(step))) for step in finest]

    def rounded(line: np.ndarray) -> list[list[float]]:
        return [[round(value, place) for value, place in zip(point, places, strict=True)] for point in line.tolist()]

    return rounded


# The ground in three dimensions, as a picture.


_SIZE, _DOTS = (7.0, 5.2), 150
_INK = {"light": "#1d2733", "dark": "#dfe7ee"}


def surface(told: dict[str, Any]) -> dict[str, Any]:
    """Return a picture of the ground from the side, with the way down on it."""
    request = Request(told)
    made = plan_of(request)
    over = request.over(made.objective)
    theme = request.text("theme")
    if len(over) != 2 or theme not in _INK:
        raise RequestError("A surface is over two variables, light or dark.")
    trace = ds.descend(made, progress=False)
    axes: Any = style.new_axes(three_dimensional=True, size=_SIZE)
    ds.draw.surface(made.objective, trace, over=(over[0], over[1]), bounds=box_around(trace, over), axes=axes)
    azimuth, elevation = request.number_or_none("azimuth"), request.number_or_none("elevation")
    axes.view_init(elev=30.0 if elevation is None else elevation, azim=-60.0 if azimuth is None else azimuth)
    _recolour(axes, _INK[theme])
    file = io.BytesIO()
    axes.figure.savefig(file, format="png", dpi=_DOTS, transparent=True)
    return {"png": base64.b64encode(file.getvalue()).decode("ascii")}


def _recolour(axes: Any, ink: str) -> None:
    """Write in a colour that can be read on the page, and leave the walls away."""
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((0.0, 0.0, 0.0, 0.0))
        axis.label.set_color(ink)
        axis.line.set_color(ink)
    axes.tick_params(colors=ink)
    axes.set_title("")
    legend = axes.get_legend()
    if legend is not None:
        legend.remove()
