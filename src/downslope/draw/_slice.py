"""The picture of the loss around the end of a training: a slice along the steepest curvature and the gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._text import number
from downslope.draw import _style as style
from downslope.draw._landscape import levels
from downslope.draw._plane import Plane
from downslope.trace import Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.descent import Objective

_GRID = 31
_FARTHEST = 3.0  # times its own reach: a start that lies farther out is pointed at
_MOST_STROKES, _STROKE = 6, 0.7  # of the reach is how long a stroke is that lies in the plane


def slice(
    objective: Objective,
    trace: Trace,
    *,
    like: Any = None,
    reach: float | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Draw the loss on a plane through the end point.

    The plane is spanned by the direction of highest curvature there and by what is left of the gradient beside it; both
    are of length 1, so that distances on the picture are distances between points. The start, and the way where it was
    kept, are seen from straight above the plane, and the start is told with its distance from it.

    Args:
        objective: what was descended; of a network, the loss is taken over at most a thousand of its examples.
        trace: a descent on it, with the curvature at its end.
        like: a point of the objective, or the network itself, where a point is a tree and not a dict of parts.
        reach: how far the slice goes to each side; by default to where the curvature alone lifts the loss by a
            quarter of what the descent gained.
        axes: where to draw; new ones if None.

    Returns:
        The axes, whose `figure` can be saved.

    Raises:
        PointError: if the trace holds no curvature, or the point has but one number.
    """
    plane = Plane(objective, trace, like)
    reach = plane.natural_reach() if reach is None else float(reach)
    way = plane.way()
    ranges = [_including(reach, way[0, axis]) for axis in (0, 1)]
    axes = style.new_axes(size=(7.4, 5.4)) if axes is None else axes
    x, y = np.meshgrid(*(np.linspace(low, high, _GRID) for low, high in ranges))
    _ground(axes, x, y, plane.heights(x, y))
    _turning(axes, plane.steepest(_MOST_STROKES), _STROKE * reach)
    _marks(axes, way, plane.away(), ranges)
    axes.set_xlabel(f"along the steepest curvature (λ = {number(plane.curvature, 3)})")
    axes.set_ylabel(f"along {plane.second}")
    axes.set_xlim(*ranges[0])
    axes.set_ylim(*ranges[1])
    style.title(axes, f"The loss around the end of {trace.last_step} steps, in distances between points")
    style.calm(axes)
    axes.grid(visible=False)
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.13), fontsize=9, frameon=False, borderaxespad=0)
    return axes


def _including(reach: float, place: float) -> tuple[float, float]:
    """Return the range of an axis, with a start that lies near enough well inside."""
    if not abs(place) <= _FARTHEST * reach:
        return (-reach, reach)
    return (min(-reach, 1.15 * place), max(reach, 1.15 * place))


def _ground(axes: Axes, x: np.ndarray, y: np.ndarray, height: np.ndarray) -> None:
    """Draw the loss as bands between contour lines, with a bar that tells the heights."""
    found = levels(height, 14)
    if len(found) < 2:
        axes.set_facecolor("#eef1f4")
        return
    from matplotlib import colormaps

    masked = np.ma.masked_invalid(height)
    shades = colormaps[style.CONTOURS](np.linspace(0.42, 0.97, len(found) + 1))
    edges = [float(np.nanmin(height)), *found, float(np.nanmax(height))]
    bands = axes.contourf(x, y, masked, levels=edges, colors=shades, zorder=0)
    axes.contour(x, y, masked, levels=found, colors="white", linewidths=0.7, alpha=0.9, zorder=1)
    bar = axes.figure.colorbar(bands, ax=axes, pad=0.02, spacing="uniform")
    bar.set_ticks(edges[::3], labels=[number(edge, 2) for edge in edges[::3]])
    bar.ax.tick_params(labelsize=8)
    bar.ax.set_title("loss", fontsize=9, color=style.INK)
    bar.outline.set_visible(False)  # type: ignore[operator]  # the stubs take it for a dictionary


def _turning(axes: Axes, found: list[tuple[int, np.ndarray]], length: float) -> None:
    """Draw from the end what the plane shows of the steepest directions so far, the later ones the stronger."""
    if len(found) < 2:
        return
    name = f"steepest direction at steps {found[0][0]} … {found[-1][0]}, the stronger the later"
    for place, (_, seen) in enumerate(found, start=1):
        tip = length * (seen if seen[0] >= 0 else -seen)
        alpha = 0.25 + 0.75 * place / len(found)
        axes.plot([0, tip[0]], [0, tip[1]], color=style.NOTE, linewidth=1.8, alpha=alpha, zorder=3)
    axes.plot([], [], color=style.NOTE, linewidth=1.8, label=name)


def _marks(axes: Axes, way: np.ndarray, away: float, ranges: list[tuple[float, float]]) -> None:
    """Draw the way, the end, and the start or an arrow towards it."""
    dot = {"markersize": 9, "markeredgecolor": "white", "markeredgewidth": 1.3, "zorder": 6, "linestyle": "none"}
    if len(way) > 2:
        axes.plot(*way.T, color=style.PATH, linewidth=1.6, zorder=4, label="the way, from above")
    inside = all(low <= place <= high for place, (low, high) in zip(way[0], ranges, strict=True))
    above = f"the start, {number(away, 2)} above the plane" if away > 1e-6 else "the start"
    if inside:
        axes.plot(*way[:1].T, "o", color=style.START, label=above, **dot)
    else:
        tip = (
            way[0]
            / max(abs(place) / abs(end[int(place > 0)]) for place, end in zip(way[0], ranges, strict=True))
            * 0.97
        )
        arrow = {"arrowstyle": "-|>", "color": style.START, "linewidth": 1.8, "mutation_scale": 16}
        axes.annotate("", xy=tuple(tip), xytext=tuple(0.8 * tip), arrowprops=arrow, zorder=6)
        told = f"towards the start, {number(float(np.hypot(*way[0])), 2)} away and {number(away, 2)} above the plane"
        axes.plot([], [], ">", color=style.START, label=told)
    axes.plot(*way[-1:].T, "o", color=style.END, label="the end", **dot)
