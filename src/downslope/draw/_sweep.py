"""The picture of a sweep: too small, just right, too large; and below, every rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._text import number
from downslope.draw import _grid as grid
from downslope.draw import _inputs as inputs
from downslope.draw import _style as style
from downslope.draw._curve import curve
from downslope.draw._landscape import landscape
from downslope.draw._style import picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.ensembles import Sweep

__all__ = ["sweep"]

_FIRST_STEPS = 7
_SETTLED = {"converged"}
_UNSTABLE = {"rate_too_large", "oscillating", "diverged", "not_finite", "edge_of_stability"}


@picture(
    "sweep",
    example="ds.draw.sweep(ds.sweep(narrow, start, steps=200))",
    order=10,
)
def sweep(result: Sweep, *, axes: Axes | None = None) -> list[Axes]:
    """Draw a sweep of learning rates.

    Above, for objectives of one or two variables, the ways down at a rate that is too small, at the best and at one
    that is too large. Below, the steps that each rate needed (or, if none came to rest, the value each ended at), with
    the stable range shaded and the best rate marked.

    Args:
        result: what `sweep` returned.
        axes: where to draw the lower part alone; a new figure with both if None.

    Returns:
        The axes, the lower part last.
    """
    result = inputs.result_of(result, "sweep", inputs.SWEEP)
    if axes is not None:
        lone = inputs.axes_of(axes, style.new_axes)
        _chart(lone, result)
        return [lone]
    names = tuple(result.objective.names or ())
    lanes = result.lanes if len(names) in (1, 2) else {}
    upper, lower = _new_axes(len(lanes))
    picture: Any = curve if len(names) == 1 else landscape
    for panel, (name, trace) in zip(upper, lanes.items(), strict=True):
        # The picture shows the ground around this path.
        seen = grid.path(trace, names)
        if name.startswith("too large"):
            seen = seen[:_FIRST_STEPS]  # the later ones would make the valley a dot
        ranges = grid.roomy(grid.window(names, seen), {}, [None] * len(names))
        picture(result.objective, trace, bounds=ranges, axes=panel)
        style.title(panel, name)
        legend = panel.get_legend()
        if legend is not None:
            legend.remove()
        panel.tick_params(labelsize=8)
    _chart(lower, result)
    lower.figure.suptitle(result.objective.read_as, x=0.01, ha="left", fontsize=11, color=style.INK)
    return [*upper, lower]


def _new_axes(count: int) -> tuple[list[Axes], Axes]:
    """Return axes in a row, and one below them all."""
    figure = style.new_figure((3.4 * max(count, 2), 6.2 if count else 4.2))
    if not count:
        return [], figure.add_subplot()
    grid = figure.add_gridspec(2, count, height_ratios=[1.0, 1.0])
    return [figure.add_subplot(grid[0, index]) for index in range(count)], figure.add_subplot(grid[1, :])


def _chart(axes: Axes, result: Sweep) -> None:
    """Draw steps or end values by rate."""
    rests = np.isfinite(result.steps)
    heights = result.steps if rests.any() else result.values
    unstable = np.array([verdict in _UNSTABLE for verdict in result.verdicts]) & ~rests
    drawn = np.isfinite(heights)
    shown = heights[drawn]
    axes.set_xscale("log")
    if len(shown) and shown.min() > 0 and shown.max() / shown.min() > 5:
        axes.set_yscale("log")
    bound = result.largest_stable_rate
    low, high = float(result.rates[0]), float(result.rates[-1])
    if bound is not None:
        axes.axvspan(low / 1.2, min(bound, high * 1.2), color=style.END, alpha=0.08, linewidth=0)
        axes.axvline(
            bound, color=style.END, linewidth=1.4, linestyle="--", label=f"largest stable rate {number(bound, 4)}"
        )
    axes.plot(result.rates[drawn], shown, color=style.FUNCTION, linewidth=1.2, alpha=0.5, zorder=2)
    settled = np.array([verdict in _SETTLED for verdict in result.verdicts]) & ~rests
    kinds = {
        "came to rest": (rests, style.END, "full"),
        f"converged, gradient above {number(result.tolerance)}": (settled, style.END, "none"),
        "on its way": (~rests & ~settled & ~unstable, style.START, "full"),
        "unstable": (unstable, style.PROBLEM, "full"),
    }
    edge = axes.get_xaxis_transform()
    for name, (chosen, colour, fill) in kinds.items():
        look: dict[str, Any] = {"color": colour, "markersize": 5, "fillstyle": fill, "zorder": 3}
        if (chosen & drawn).any():
            axes.plot(result.rates[chosen & drawn], heights[chosen & drawn], "o", label=name, **look)
        # Rates without a height stand above the picture: no height is invented for them.
        if (chosen & ~drawn).any():
            rates = result.rates[chosen & ~drawn]
            known = {} if (chosen & drawn).any() else {"label": name}
            axes.plot(rates, np.full(len(rates), 1.03), "o", transform=edge, clip_on=False, **known, **look)
    if rests.any() and not drawn.all():
        edge_text: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
        axes.annotate(
            "not reached", (0, 1.03), (-4, 0), ha="right", va="center", fontsize=8, color=style.INK, **edge_text
        )
    if drawn[result.best]:
        best = float(heights[result.best])
        axes.plot([result.best_rate], [best], "*", color=style.PATH, markersize=17, markeredgecolor="white", zorder=5)
        axes.plot([], [], "*", color=style.PATH, markersize=11, label=f"best rate {number(result.best_rate, 4)}")
    axes.set_xlim(low / 1.2, high * 1.2)
    axes.set_xlabel("learning rate α")
    what = f"steps to ‖gradient‖ ≤ {number(result.tolerance)}" if rests.any() else f"{result.objective.name} at the end"
    axes.set_ylabel(what)
    style.calm(axes)
    style.legend(axes)
