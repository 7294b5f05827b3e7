"""The picture of a function of two variables in three dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._errors import SettingError
from downslope.draw import _grid as grid
from downslope.draw import _inputs as inputs
from downslope.draw import _style as style
from downslope.draw._landscape import end_of
from downslope.draw._picture import picture
from downslope.trace import HasTrace, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["surface"]

_GRID = 90
_MOST_DOTS = 120


@picture(
    "function",
    example="ds.draw.surface(valley, trace)",
    order=30,
)
def surface(
    objective: inputs.Drawable,
    trace: Trace | HasTrace | None = None,
    *,
    bounds: inputs.Bounds = None,
    over: tuple[str, str] | None = None,
    units: inputs.Units = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw a function of two variables as a surface, with the way down on it.

    Args:
        objective: the formula or its text, a JAX function, or an objective.
        trace: a descent on it.
        bounds: the ranges to show, by name.
        over: the two variables to show, where there are more.
        units: units by name, where `objective` is text.
        axes: three-dimensional axes to draw on; new ones if None.

    Returns:
        The axes, whose `figure` can be saved.

    Raises:
        PointError: if there are no two such variables, or a range makes no sense.
        DownslopeError: as `objective`, for text.
    """
    function, trace = inputs.objective_of(objective, units), inputs.way_of(trace, "surface")
    names = grid.variables(function, 2, over)
    drawn: Any = inputs.axes_of(axes, lambda: style.new_axes(three_dimensional=True, size=(7.0, 5.6)))
    if not hasattr(drawn, "plot_surface"):
        raise SettingError("a surface is drawn on three-dimensional axes", hint='projection="3d", or leave axes out')
    steps = grid.path(trace, names)
    kept = inputs.bounds_of(bounds, names)
    ranges = grid.roomy(grid.window(names, steps, kept), kept, end_of(trace, None, names))
    x, y, height = grid.over_grid(function, names, ranges, grid.rest_of(function, trace, None), _GRID)
    # A wall at the edge of the range would flatten the valley.
    ceiling = _ceiling(height, trace)
    shown = np.minimum(height, ceiling)
    drawn.plot_surface(x, y, shown, cmap=style.CONTOURS, alpha=0.82, linewidth=0, rcount=_GRID, ccount=_GRID)
    if trace is not None:
        # Lifted a little, since lines on a surface sink into it.
        lift = 0.01 * (np.nanmax(shown) - np.nanmin(shown))
        values = np.minimum(trace.columns["value"], ceiling) + lift
        dots = "o" if len(steps) <= _MOST_DOTS else None
        drawn.plot(
            steps[:, 0], steps[:, 1], values, color=style.PATH, linewidth=2.0, marker=dots, markersize=3, zorder=9
        )
        for row, colour, text in ((0, style.START, "start"), (-1, style.END, "end")):
            drawn.plot(*steps[row], values[row], "o", color=colour, markersize=8, zorder=10, label=text)
    drawn.set_xlabel(style.label(names[0], function.units))
    drawn.set_ylabel(style.label(names[1], function.units))
    drawn.set_zlabel(style.label(function.name, function.units))
    style.title(drawn, function.read_as)
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
