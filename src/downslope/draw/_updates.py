"""The picture of the size of each layer's updates relative to its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from downslope.draw import _by_layer as by_layer
from downslope.draw import _inputs as inputs
from downslope.draw import _style as style
from downslope.draw._picture import picture
from downslope.trace import HasTrace, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["updates"]

USUAL = 1e-3
_MOST_POINTS = 80
_MOST_FAINT = 2000
_LATE = 5
_MEANT = "dashed: a thousandth, about usual; far more undoes learning, far less is hardly any"


@picture(
    "training",
    example="ds.draw.updates(training.trace)",
    caption="The length of each step over the norm of the weights it changes.",
    order=40,
)
def updates(trace: Trace | HasTrace, *, axes: Axes | None = None) -> Axes:
    """Draw the length of each step over the norm of the weights it changes, layer by layer.

    A rule of thumb: about a thousandth is usual. Steps far above it throw away what was learnt, far below it the layer
    hardly changes.

    Args:
        trace: the training of a network, or its trace.
        axes: where to draw; new ones if None.

    Returns:
        The axes, whose `figure` can be saved.

    Raises:
        SettingError: if the trace holds no layers.
    """
    trace = inputs.trace_of(trace, "updates")
    steps = by_layer.steps_of(trace)
    with np.errstate(all="ignore"):
        ratios = by_layer.quantity(trace, "update_norm") / by_layer.quantity(trace, "parameter_norm")
    axes = inputs.axes_of(axes, lambda: style.new_axes(size=(7.6, 4.6)))
    _lines(axes, steps, ratios, trace.layer_names)
    axes.axhline(USUAL, color=style.INK, linewidth=1.1, linestyle=(0, (5, 3)), zorder=4)
    axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("‖step‖ / ‖weights‖ of the layer")
    style.calm(axes)
    style.title(axes, "How far each step moves a layer, in sizes of its own weights", below=_MEANT)
    by_layer.name_colours(axes, trace.layer_names)
    return axes


def _lines(axes: Axes, steps: np.ndarray, ratios: np.ndarray, names: tuple[str, ...]) -> None:
    """Draw a line a layer: its medians over a few looks, and faintly behind them every look."""
    moving = np.where(np.isfinite(ratios) & (ratios > 0), ratios, np.nan)
    every = slice(None, None, max(len(steps) // _MOST_FAINT, 1))
    at, smooth = by_layer.in_blocks(steps, moving, _MOST_POINTS)
    for index, colour in enumerate(by_layer.colours(len(names))):
        name = by_layer.short(names[index])
        still = ratios[np.isfinite(ratios[:, index]), index][-_LATE:]
        name += " (stands still)" if len(still) and not still.any() else ""
        if len(at) < len(steps):
            axes.plot(steps[every], moving[every, index], color=colour, linewidth=0.6, alpha=0.16, zorder=2)
        axes.plot(at, smooth[:, index], color=colour, linewidth=1.7, zorder=3, label=name)
    if not np.isfinite(moving).any():
        by_layer.mark_nothing(axes, "no step moved any layer")
