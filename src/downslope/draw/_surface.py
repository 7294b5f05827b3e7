"""The picture of a function of two variables in three dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from downslope.draw import _ground as ground
from downslope.draw import _style as style
from downslope.draw._curve import _rest
from downslope.draw._landscape import _end
from downslope.trace import Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.descent import Objective

_GRID = 90
_MOST_DOTS = 120


def surface(
    objective: Objective,
    trace: Trace | None = None,
    *,
    within: ground.Within = None,
    over: tuple[str, str] | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw a function of two variables as a surface, with the way down on it.

    Args:
        objective: what to draw.
        trace: a descent on it.
        within: the ranges to show, by name.
        over: the two variables to show, where there are more.
        axes: three-dimensional axes to draw on; new ones if None.

    Returns:
        The axes, whose `figure` can be saved.

    Raises:
        PointError: if there are no two such variables.
    """
    names = ground.variables(objective, 2, over)
    drawn: Any = style.new_axes(three_dimensional=True, size=(7.0, 5.6)) if axes is None else axes
    steps = ground.path(trace, names)
    ranges = ground.roomy(ground.window(names, steps, within), within, _end(trace, None, names))
    x, y, height = ground.over_grid(objective, names, ranges, _rest(objective, trace, None), _GRID)
    ceiling = _ceiling(height, trace)
    shown = np.minimum(height, ceiling)
    drawn.plot_surface(x, y, shown, cmap=style.CONTOURS, alpha=0.82, linewidth=0, rcount=_GRID, ccount=_GRID)
    if trace is not None:
        lift = 0.01 * (np.nanmax(shown) - np.nanmin(shown))
        values = np.minimum(trace.columns["value"], ceiling) + lift
        dots = "o" if len(steps) <= _MOST_DOTS else None
        drawn.plot(
            steps[:, 0], steps[:, 1], values, color=style.PATH, linewidth=2.0, marker=dots, markersize=3, zorder=9
        )
        for row, colour, text in ((0, style.START, "start"), (-1, style.END, "end")):
            drawn.plot(*steps[row], values[row], "o", color=colour, markersize=8, zorder=10, label=text)
    drawn.set_xlabel(style.label(names[0], objective.units))
    drawn.set_ylabel(style.label(names[1], objective.units))
    drawn.set_zlabel(style.label(objective.name, objective.units))
    style.title(drawn, objective.read_as)
    style.legend(drawn)
    drawn.view_init(elev=32, azim=-58)
    return drawn


def _ceiling(height: np.ndarray, trace: Trace | None) -> float:
    """Return the height above which the surface is cut off, so that a wall does not flatten the valley."""
    finite = height[np.isfinite(height)]
    if len(finite) == 0:
        return 0.0
    if trace is None:
        return float(finite.max())
    reached = trace.columns["value"][np.isfinite(trace.columns["value"])]
    wanted = finite.min() + 1.6 * (max(float(reached.max()), float(np.quantile(finite, 0.6))) - finite.min())
    return float(min(finite.max(), wanted))
