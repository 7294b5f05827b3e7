"""The picture of a function of one variable: its curve, the tangent at a point, the way down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from downslope._text import number
from downslope.draw import _ground as ground
from downslope.draw import _style as style
from downslope.trace import Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.descent import Objective

_MOST_DOTS = 60


def curve(
    objective: Objective,
    trace: Trace | None = None,
    *,
    at: Mapping[str, float] | None = None,
    within: ground.Within = None,
    over: str | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw a function of one variable, the way down it, and its tangent at a point.

    Args:
        objective: what to draw.
        trace: a descent on it, drawn as steps from dot to dot.
        at: where to draw the tangent.
        within: the range to show, by name.
        over: the variable along the axis, where there are several; the others stay at the end of the trace.
        axes: where to draw; new ones if None.

    Returns:
        The axes, whose `figure` can be saved.

    Raises:
        PointError: if there is no such variable.
    """
    (name,) = ground.variables(objective, 1, (over,) if over else None)
    axes = style.new_axes() if axes is None else axes
    steps = ground.path(trace, (name,))[:, 0]
    seen = np.array([*steps, *([at[name]] if at is not None else [])])
    low, high = ground.window((name,), seen[:, None], within)[name]
    if within is None or name not in within:
        low, high = ground.around((low, high), _interesting(trace, at, name))
    x = np.linspace(low, high, 600)
    rest = _rest(objective, trace, at)
    y = ground.along(objective, name, x, rest)
    axes.plot(x, y, color=style.FUNCTION, linewidth=2.0, label=objective.name, zorder=2)
    if at is not None:
        _tangent(axes, objective, at, name, (low, high))
    if trace is not None:
        _steps(axes, steps, trace.columns["value"], (low, high))
    axes.set_xlim(low, high)
    _limit_height(axes, y)
    axes.set_xlabel(style.label(name, objective.units))
    axes.set_ylabel(style.label(objective.name, objective.units))
    style.title(axes, objective.read_as)
    style.calm(axes)
    style.legend(axes)
    return axes


def _rest(objective: Objective, trace: Trace | None, at: Mapping[str, float] | None) -> dict[str, float]:
    """Return where the names that are not shown stay."""
    held = dict.fromkeys(objective.names or (), 0.0)
    if trace is not None:
        held |= {name: float(value) for name, value in trace.end.items() if np.ndim(value) == 0}
    return held | {name: float(value) for name, value in (at or {}).items()}


def _interesting(trace: Trace | None, at: Mapping[str, float] | None, name: str) -> float | None:
    """Return the place that should lie well inside the picture: the end of the way, or the point of the tangent."""
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
    dots = np.unique(np.linspace(0, len(x) - 1, min(len(x), _MOST_DOTS)).round().astype(int))
    axes.plot(x[dots], value[dots], "o", color=style.PATH, markersize=4, zorder=4)
    axes.plot(x[:1], value[:1], "o", color=style.START, markersize=8, zorder=5, label="start")
    if last == taken:
        axes.plot(x[-1:], value[-1:], "o", color=style.END, markersize=8, zorder=6, label="end")


def _tangent(axes: Axes, objective: Objective, at: Mapping[str, float], name: str, shown: tuple[float, float]) -> None:
    """Draw the tangent line at a point, with its slope."""
    slope = ground.gradient_at(objective, at)[name]
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


def _limit_height(axes: Axes, y: np.ndarray) -> None:
    """Keep a pole of the function from flattening the rest of the picture."""
    finite = y[np.isfinite(y)]
    if len(finite) < 10:
        return
    low, high = np.quantile(finite, [0.02, 0.98])
    lowest, highest = finite.min(), finite.max()
    if highest - lowest > 20 * (high - low) > 0:
        margin = 0.15 * (high - low)
        axes.set_ylim(max(lowest, low - margin), min(highest, high + margin))
