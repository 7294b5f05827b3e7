"""The picture of a function of one variable: its curve, the tangent at a point, the path of a descent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from downslope._numbers import evenly_spread
from downslope._text import number
from downslope.draw import _grid as grid
from downslope.draw import _inputs as inputs
from downslope.draw import _style as style
from downslope.draw._breaks import broken, height_range
from downslope.draw._style import picture
from downslope.trace import HasTrace, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.descent import Objective

__all__ = ["curve"]

_MOST_DOTS = 60


@picture(
    "function",
    example="""
        parabola = ds.objective("f(x) = x² - 4x + 5")
        steps = ds.descend(parabola, {"x": -1}, learning_rate=0.2, steps=8)
        ds.draw.curve(parabola, steps, at={"x": 0})
    """,
    order=10,
)
def curve(
    objective: inputs.Drawable,
    trace: Trace | HasTrace | None = None,
    *,
    at: Mapping[str, float] | float | None = None,
    bounds: inputs.Bounds = None,
    over: str | None = None,
    units: inputs.Units = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw a function of one variable, the path of a descent on it, and its tangent at a point.

    Args:
        objective: the formula or its text, a JAX function, or an objective.
        trace: a descent on it, drawn as steps from dot to dot.
        at: where to draw the tangent: a point, or a number for one variable.
        bounds: the range to show: by name, or a pair for one variable.
        over: the variable along the axis, where there are several; the others stay at the end of the trace.
        units: units by name, where `objective` is text.
        axes: where to draw; new ones if None.

    Returns:
        The axes, whose `figure` can be saved.

    Raises:
        PointError: if there is no such variable, or a point or range makes no sense.
        DownslopeError: as `objective`, for text.
    """
    function, trace = inputs.objective_of(objective, units), inputs.way_of(trace, "curve")
    (name,) = grid.variables(function, 1, (over,) if over else None)
    point = inputs.point_of(function, at)
    axes = inputs.axes_of(axes, style.new_axes)
    steps = grid.path(trace, (name,))[:, 0]
    seen = np.array([*steps, *([point[name]] if point is not None else [])])
    kept, rest = inputs.bounds_of(bounds, (name,)), grid.rest_of(function, trace, point)
    low, high = grid.window((name,), seen[:, None], kept)[name]
    if name not in kept:
        centre = _interesting(trace, point, name)
        low, high = grid.around((low, high), centre)
        # The end of a way that ran away lies outside.
        middle = centre if centre is not None and low <= centre <= high else (low + high) / 2
        low, high = grid.near(function, name, (low, high), middle, rest)
    x = np.linspace(low, high, 600)
    y = grid.along(function, name, x, rest)
    line = broken(lambda values: grid.along(function, name, values, rest), x, y)
    axes.plot(*line, color=style.FUNCTION, linewidth=2.0, label=function.name, zorder=2)
    if point is not None:
        _tangent(axes, function, point, name, (low, high))
    if trace is not None:
        _steps(axes, steps, trace.columns["value"], (low, high))
    values = [] if trace is None else trace.columns["value"][(steps >= low) & (steps <= high)]
    seen = np.array([*values, *([] if point is None else [function(point)])], dtype=float)
    axes.set_xlim(low, high)
    axes.set_ylim(*height_range(y, seen))
    style.zero_lines(axes)
    if not np.isfinite(y).any():
        style.message(axes, f"{function.name} is not defined here")
    axes.set_xlabel(style.label(name, function.units))
    axes.set_ylabel(style.label(function.name, function.units))
    style.title(axes, function.read_as)
    style.calm(axes)
    style.legend(axes)
    return axes


def _interesting(trace: Trace | None, at: Mapping[str, float] | None, name: str) -> float | None:
    """Return the point that should lie well inside the picture: the end of the path, or that of the tangent."""
    if at is not None:
        return float(at[name])
    return None if trace is None else float(trace.end[name])


def _steps(axes: Axes, x: np.ndarray, value: np.ndarray, shown: tuple[float, float]) -> None:
    """Draw the steps of a descent as a line from dot to dot, with its start, and its end where that is shown."""
    inside = np.flatnonzero((x >= shown[0]) & (x <= shown[1]))
    if len(inside) == 0:
        return
    taken, last = len(x) - 1, int(inside[-1])
    name = f"{taken} steps" if last == taken else f"the first {last} of {taken} steps"
    x, value = x[: last + 1], value[: last + 1]
    axes.plot(x, value, color=style.PATH, linewidth=1.2, alpha=0.85, zorder=3, label=name)
    dots = evenly_spread(len(x), _MOST_DOTS)
    axes.plot(x[dots], value[dots], "o", color=style.PATH, markersize=4, zorder=4)
    axes.plot(x[:1], value[:1], **style.END_MARKS["start"], zorder=5, label="start")
    if last == taken:
        axes.plot(x[-1:], value[-1:], **style.END_MARKS["end"], zorder=6, label="end")


def _tangent(axes: Axes, objective: Objective, at: Mapping[str, float], name: str, shown: tuple[float, float]) -> None:
    """Draw the tangent line at a point, with its slope."""
    slope = grid.gradient_at(objective, at)[name]
    value = objective(dict(at))
    half = 0.3 * (shown[1] - shown[0])
    x = np.array([max(shown[0], at[name] - half), min(shown[1], at[name] + half)])
    axes.plot(
        x,
        value + slope * (x - at[name]),
        color=style.TANGENT,
        linewidth=1.8,
        linestyle=(0, (6, 3)),
        zorder=3,
        label=f"tangent, slope {number(slope, 4)}",
    )
    axes.plot([at[name]], [value], "o", color=style.TANGENT, markersize=7, zorder=5)
