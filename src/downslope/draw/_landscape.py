"""The picture of a function of two variables from above: contours, the way down, the gradient's arrows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from downslope.draw import _ground as ground
from downslope.draw import _style as style
from downslope.draw._curve import _rest
from downslope.trace import Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.descent import Objective

_GRID = 220
_LEVELS = 18
_ARROWS = 5
_ARROW_SHARE = 0.6  # of a step: the way stays in sight beside its arrows
_MOST_DOTS = 80


def landscape(
    objective: Objective,
    trace: Trace | None = None,
    *,
    at: Mapping[str, float] | None = None,
    within: ground.Within = None,
    over: tuple[str, str] | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw a function of two variables from above, with the way down.

    The contour levels lie at equal shares of the ground, not at equal heights, so that a narrow valley shows.

    Args:
        objective: what to draw.
        trace: a descent on it.
        at: where to draw the gradient's and the downhill arrow.
        within: the ranges to show, by name.
        over: the two variables to show, where there are more; the others stay at the end of the trace.
        axes: where to draw; new ones if None.

    Returns:
        The axes, whose `figure` can be saved.

    Raises:
        PointError: if there are no two such variables.
    """
    names = ground.variables(objective, 2, over)
    axes = style.new_axes(size=(6.6, 5.2)) if axes is None else axes
    steps = ground.path(trace, names)
    seen = np.vstack([steps, *([[at[name] for name in names]] if at is not None else [])])
    ranges = ground.roomy(ground.window(names, seen, within), within, _end(trace, at, names))
    x, y, height = ground.over_grid(objective, names, ranges, _rest(objective, trace, at), _GRID)
    _contours(axes, x, y, height)
    if trace is not None:
        _way(axes, steps)
        _arrows(axes, steps, trace, names)
    if at is not None:
        _compass(axes, objective, at, names, ranges)
    axes.set_xlim(*ranges[names[0]])
    axes.set_ylim(*ranges[names[1]])
    axes.set_xlabel(style.label(names[0], objective.units))
    axes.set_ylabel(style.label(names[1], objective.units))
    style.title(axes, objective.read_as)
    style.calm(axes)
    axes.grid(visible=False)
    style.legend(axes)
    return axes


def levels(height: np.ndarray, count: int = _LEVELS) -> np.ndarray:
    """Return contour levels that show the valley: heights at equal shares of the ground, closer together at its floor.

    Args:
        height: heights on a grid, NaN where there is none.
        count: how many levels.
    """
    finite = height[np.isfinite(height)]
    if len(finite) == 0 or finite.max() == finite.min():
        return np.array([])
    shares = np.linspace(0, 1, count + 2)[1:-1] ** 1.6
    found = np.unique(np.quantile(finite, shares))
    return found[found > finite.min()]


def _end(trace: Trace | None, at: Mapping[str, float] | None, names: tuple[str, ...]) -> list[float | None]:
    """Return the place that should lie well inside the picture."""
    if at is not None:
        return [float(at[name]) for name in names]
    return [None if trace is None else float(trace.end[name]) for name in names]


def _contours(axes: Axes, x: np.ndarray, y: np.ndarray, height: np.ndarray) -> None:
    """Draw the ground: pale bands between contour lines."""
    found = levels(height)
    if len(found) < 2:
        axes.set_facecolor("#eef1f4")
        return
    masked = np.ma.masked_invalid(height)
    shades = np.linspace(0.42, 0.97, len(found) + 1)
    from matplotlib import colormaps

    colours = colormaps[style.CONTOURS](shades)
    axes.contourf(
        x, y, masked, levels=[float(np.nanmin(height)), *found, float(np.nanmax(height))], colors=colours, zorder=0
    )
    axes.contour(x, y, masked, levels=found, colors="white", linewidths=0.7, alpha=0.9, zorder=1)


def _way(axes: Axes, steps: np.ndarray) -> None:
    """Draw the way down over everything else, with a light edge so that it is seen on any ground."""
    from matplotlib import patheffects

    edge = [patheffects.Stroke(linewidth=4.0, foreground="white"), patheffects.Normal()]
    axes.plot(
        steps[:, 0],
        steps[:, 1],
        color=style.PATH,
        linewidth=1.8,
        zorder=4,
        path_effects=edge,
        label=f"{len(steps) - 1} steps",
    )
    dots = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), _MOST_DOTS)).round().astype(int))
    axes.plot(steps[dots, 0], steps[dots, 1], "o", color=style.PATH, markersize=3.5, zorder=5)
    for row, colour, name in ((0, style.START, "start"), (-1, style.END, "end")):
        axes.plot(
            *steps[row],
            "o",
            color=colour,
            markersize=9,
            markeredgecolor="white",
            markeredgewidth=1.3,
            zorder=6,
            label=name,
        )


def _arrows(axes: Axes, steps: np.ndarray, trace: Trace, names: tuple[str, ...]) -> None:
    """Draw the downhill direction −∇f at the first few points of the way, somewhat shorter than its step."""
    if trace.gradients is None or len(steps) < 3:
        return
    places = [trace.coordinate_names.index(name) for name in names]
    for row in range(min(_ARROWS, len(steps) - 1)):
        downhill = -trace.gradients[row, places]
        length = np.linalg.norm(downhill)
        reach = np.linalg.norm(steps[row + 1] - steps[row])
        if length == 0 or reach < 0.02 * np.linalg.norm(np.ptp(steps, axis=0)):
            break
        tip = steps[row] + downhill / length * reach * _ARROW_SHARE
        arrow = {"arrowstyle": "-|>", "color": style.INK, "linewidth": 1.1, "shrinkA": 4, "shrinkB": 2}
        axes.annotate("", xy=tuple(tip), xytext=tuple(steps[row]), arrowprops=arrow, zorder=5)


def _compass(
    axes: Axes,
    objective: Objective,
    at: Mapping[str, float],
    names: tuple[str, ...],
    ranges: Mapping[str, tuple[float, float]],
) -> None:
    """Draw the gradient at a point and the way down opposite to it."""
    slope = ground.gradient_at(objective, at)
    gradient = np.array([slope[name] for name in names])
    place = np.array([float(at[name]) for name in names])
    length = np.linalg.norm(gradient)
    reach = 0.22 * min(high - low for low, high in ranges.values())
    if length > 0:
        for sign, colour, text in ((1, style.TANGENT, "uphill ∇f"), (-1, style.PATH, "downhill −∇f")):
            tip = place + sign * gradient / length * reach
            arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 2.2, "mutation_scale": 16}
            axes.annotate("", xy=tuple(tip), xytext=tuple(place), arrowprops=arrow, zorder=6)
            axes.plot([], [], color=colour, linewidth=2.2, label=text)
    axes.plot(*place, "o", color=style.START, markersize=8, markeredgecolor="white", zorder=7)
