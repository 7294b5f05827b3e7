"""Pictures of a function of two variables: from above, with contours, path and arrows; and as a surface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._errors import SettingError
from downslope._numbers import evenly_spread
from downslope._text import number
from downslope.draw import _grid as grid
from downslope.draw import _inputs as inputs
from downslope.draw import _style as style
from downslope.draw._levels import label_levels
from downslope.draw._levels import levels as levels_of
from downslope.draw._style import picture
from downslope.trace import HasTrace, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.descent import Objective

__all__ = ["landscape", "surface"]

_GRID = 220
_ARROWS = 5
_ARROW_SHARE = 0.6  # of a step: the way stays in sight beside its arrows
_MOST_DOTS = 80
_MOST_NAMED = 6  # variables besides those shown
_SURFACE_GRID = 90  # Matplotlib draws each cell of a surface as a polygon of its own
_MOST_SURFACE_DOTS = 120


@picture(
    "function",
    example="ds.draw.landscape(valley, trace)",
    order=20,
)
def landscape(
    objective: inputs.Drawable,
    trace: Trace | HasTrace | None = None,
    *,
    at: Mapping[str, float] | None = None,
    bounds: inputs.Bounds = None,
    over: tuple[str, str] | None = None,
    units: inputs.Units = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw a function of two variables from above, with the path of a descent.

    The contour levels are round numbers, closer together where the ground is flat, so that a narrow valley shows. Both
    axes have one scale where the variables have the same unit and comparable ranges, so that right angles look right.

    Args:
        objective: the formula or its text, a JAX function, or an objective.
        trace: a descent on it.
        at: where to draw the gradient's and the downhill arrow.
        bounds: the ranges to show, by name.
        over: the two variables to show, where there are more; the others stay at the end of the trace.
        units: units by name, where `objective` is text.
        axes: where to draw; new ones if None.

    Returns:
        The axes, whose `figure` can be saved.

    Raises:
        PointError: if there are no two such variables, or a point or range makes no sense.
        DownslopeError: as `objective`, for text.
    """
    function, trace = inputs.objective_of(objective, units), inputs.way_of(trace, "landscape")
    names = grid.variables(function, 2, over)
    point = inputs.point_of(function, at)
    steps = grid.path(trace, names)
    seen = np.vstack([steps, *([[point[name] for name in names]] if point is not None else [])])
    kept = inputs.bounds_of(bounds, names)
    ranges = grid.roomy(grid.window(names, seen, kept), kept, end_of(trace, point, names))
    alone = axes is None
    axes = inputs.axes_of(axes, lambda: style.new_axes(size=_size(ranges)))
    axes.set_xlim(*ranges[names[0]])
    axes.set_ylim(*ranges[names[1]])
    if grid.is_one_scale(ranges) and grid.is_one_kind(function, names):
        axes.set_aspect("equal", adjustable="box")
    rest = grid.rest_of(function, trace, point)
    ground = grid.over_grid(function, names, ranges, rest, _GRID)
    contours = _contours(axes, *ground)
    if trace is not None:
        _way(axes, steps)
        _arrows(axes, steps, trace, names)
    if point is not None:
        _compass(axes, function, point, names, ranges)
    axes.set_xlim(*ranges[names[0]])
    axes.set_ylim(*ranges[names[1]])
    axes.set_xlabel(style.label(names[0], function.units))
    axes.set_ylabel(style.label(names[1], function.units))
    style.title(axes, function.read_as, below=_cut_at(rest, names))
    style.calm(axes)
    axes.grid(visible=False)
    style.legend(axes, beside=alone)
    if contours is not None and alone:
        label_levels(axes, contours, seen)
    return axes


def _size(ranges: grid.Ranges) -> tuple[float, float]:
    """Return the size of a figure for ranges on one scale, in inches."""
    (left, right), (low, high) = ranges.values()
    height = min(max(5.6 * (high - low) / (right - left), 3.4), 5.6) if grid.is_one_scale(ranges) else 4.6
    return 7.4, height + 0.6


def end_of(trace: Trace | None, at: Mapping[str, float] | None, names: tuple[str, ...]) -> list[float | None]:
    """Return what should lie well inside the picture: a point, else where the path ends or slows down."""
    if at is not None:
        return [float(at[name]) for name in names]
    return [None] * len(names) if trace is None else list(grid.resting(trace, names))


def _contours(axes: Axes, x: np.ndarray, y: np.ndarray, height: np.ndarray) -> Any:
    """Draw the ground, pale bands between contour lines; return these, None where there is one height only."""
    levels = levels_of(height)
    if len(levels) < 2:
        axes.set_facecolor("#eef1f4")
        finite = height[np.isfinite(height)]
        style.message(axes, f"{number(finite[0])} everywhere" if len(finite) else "not defined here")
        return None
    masked = np.ma.masked_invalid(height)
    shades = np.linspace(0.42, 0.97, len(levels) + 1)
    from matplotlib import colormaps

    colours = colormaps[style.CONTOURS](shades)
    axes.contourf(
        x, y, masked, levels=[float(np.nanmin(height)), *levels, float(np.nanmax(height))], colors=colours, zorder=0
    )
    return axes.contour(
        x, y, masked, levels=levels, colors="white", linewidths=0.7, linestyles="solid", alpha=0.9, zorder=1
    )


def _way(axes: Axes, steps: np.ndarray) -> None:
    """Draw the way down over everything else, with a light edge so that it is seen on any ground."""
    from matplotlib import patheffects

    # A white edge keeps the path visible on dark ground.
    edge = [patheffects.Stroke(linewidth=4.0, foreground="white"), patheffects.Normal()]
    axes.plot(
        steps[:, 0],
        steps[:, 1],
        color=style.PATH,
        linewidth=1.8,
        zorder=4,
        path_effects=edge,
        label=_taken(steps),
    )
    dots = evenly_spread(len(steps), _MOST_DOTS)
    axes.plot(steps[dots, 0], steps[dots, 1], "o", color=style.PATH, markersize=3.5, zorder=5)
    for row, name in ((0, "start"), (-1, "end")):
        axes.plot(*steps[row], **style.END_MARKS[name], zorder=6, label=name)


def _taken(steps: np.ndarray) -> str:
    """Return the name of a path."""
    return f"{len(steps) - 1} step{'' if len(steps) == 2 else 's'}"


def _arrows(axes: Axes, steps: np.ndarray, trace: Trace, names: tuple[str, ...]) -> None:
    """Draw the downhill direction −∇f at the first few points of the way, somewhat shorter than its step."""
    if trace.gradients is None or len(steps) < 3:
        return
    columns = [trace.coordinate_names.index(name) for name in names]
    for row in range(min(_ARROWS, len(steps) - 1)):
        downhill = -trace.gradients[row, columns]
        length = np.linalg.norm(downhill)
        reach = np.linalg.norm(steps[row + 1] - steps[row])
        # Arrows shorter than this are specks; later steps are shorter still.
        if length == 0 or reach < 0.02 * np.linalg.norm(np.ptp(steps, axis=0)):
            break
        tip = steps[row] + downhill / length * reach * _ARROW_SHARE
        arrow = {"arrowstyle": "-|>", "color": style.PATH, "linewidth": 1.1, "shrinkA": 4, "shrinkB": 2}
        axes.annotate("", xy=tuple(tip), xytext=tuple(steps[row]), arrowprops=arrow, zorder=5)


def _compass(
    axes: Axes,
    objective: Objective,
    at: Mapping[str, float],
    names: tuple[str, ...],
    ranges: Mapping[str, tuple[float, float]],
) -> None:
    """Draw the gradient at a point and the way down opposite to it."""
    slope = grid.gradient_at(objective, at)
    gradient = np.array([slope[name] for name in names])
    here = np.array([float(at[name]) for name in names])
    length = np.linalg.norm(gradient)
    reach = 0.22 * min(high - low for low, high in ranges.values())
    if length > 0:
        for sign, colour, text in ((1, style.TANGENT, "uphill ∇f"), (-1, style.PATH, "downhill −∇f")):
            tip = here + sign * gradient / length * reach
            arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 2.2, "mutation_scale": 16}
            axes.annotate("", xy=tuple(tip), xytext=tuple(here), arrowprops=arrow, zorder=6)
            axes.plot([], [], color=colour, linewidth=2.2, label=text)
    axes.plot(*here, "o", color=style.START, markersize=8, markeredgecolor="white", zorder=7)


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
    """Draw a function of two variables as a surface, with the path of a descent.

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
    ranges = grid.roomy(grid.window(names, steps, kept), kept, end_of(trace, None, names), least=1.0)
    rest = grid.rest_of(function, trace, None)
    x, y, height = grid.over_grid(function, names, ranges, rest, _SURFACE_GRID)
    # A wall at the edge of the range would flatten the valley.
    ceiling = _ceiling(height, trace)
    floor = _floor(height, trace)
    shown, count = np.clip(height, floor, ceiling), _SURFACE_GRID
    drawn.plot_surface(
        x, y, shown, cmap=style.CONTOURS, alpha=0.9, linewidth=0, antialiased=False, rcount=count, ccount=count
    )
    if trace is not None:
        # Lifted a little, since lines on a surface sink into it.
        lift = 0.01 * (np.nanmax(shown) - np.nanmin(shown))
        values = np.clip(trace.columns["value"], floor, ceiling) + lift
        dots = "o" if len(steps) <= _MOST_SURFACE_DOTS else None
        drawn.plot(
            *steps.T, values, color=style.PATH, linewidth=2.0, marker=dots, markersize=3, zorder=9, label=_taken(steps)
        )
        for row, text in ((0, "start"), (-1, "end")):
            drawn.plot(*steps[row], values[row], **style.END_MARKS[text], zorder=10, label=text)
    drawn.set_xlabel(style.label(names[0], function.units))
    drawn.set_ylabel(style.label(names[1], function.units))
    drawn.set_zlabel(style.label(function.name, function.units))
    style.title(drawn, function.read_as, below=_cut_at(rest, names))
    style.legend(drawn)
    drawn.view_init(elev=34, azim=_side(shown))
    return drawn


def _side(height: np.ndarray) -> float:
    """Return the angle to look from: that of the lowest corner, so that no wall is in the way."""
    quarter = len(height) // 4
    corners = {-58: height[:quarter, -quarter:], -122: height[:quarter, :quarter]}
    corners |= {32: height[-quarter:, -quarter:], 148: height[-quarter:, :quarter]}
    means = {
        angle: float(np.nanmean(corner)) if np.isfinite(corner).any() else 0.0 for angle, corner in corners.items()
    }
    spread = float(np.nanmax(height) - np.nanmin(height)) if np.isfinite(height).any() else 0.0
    # The usual side, unless another one is clearly lower.
    best = min(means, key=lambda angle: means[angle])
    return float(best if means[best] < means[-58] - 0.1 * spread else -58)


def _floor(height: np.ndarray, trace: Trace | None) -> float:
    """Return the height below which the surface is cut off, so that a pole does not flatten the rest."""
    finite = height[np.isfinite(height)]
    if len(finite) == 0:
        return 0.0
    least, middle, most = np.quantile(finite, [0.02, 0.5, 0.98])
    reached = np.array([]) if trace is None else trace.columns["value"][np.isfinite(trace.columns["value"])]
    wanted = min(least - 1.5 * (most - least), *(reached[:1] if len(reached) else [middle]))
    return float(max(finite.min(), wanted))


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


def _cut_at(rest: Mapping[str, float], names: tuple[str, ...]) -> str:
    """Return where the variables that are not shown stand: a picture of x and y is a cut through those."""
    others = [f"{name} = {number(value, 3)}" for name, value in rest.items() if name not in names]
    shown = ", ".join(others[:_MOST_NAMED]) + (", …" if len(others) > _MOST_NAMED else "")
    return f"at {shown}" if others else ""
