"""Pictures of each layer by step: its gradient, and how far steps move it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._text import number
from downslope.draw import _by_layer as by_layer
from downslope.draw import _inputs as inputs
from downslope.draw import _style as style
from downslope.draw._style import picture
from downslope.trace import HasTrace, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["layers", "updates"]

_MOST_COLUMNS = 150
_MOST_NAMES = 16
_DEEPEST = 1e-20  # of the largest norm: what lies lower has the lowest colour
_COLOURS, _NOTHING, _UNKNOWN = "cividis", "#e3b7ad", "#eef1f4"
_NO_GRADIENT = "pale red: zero, or too small to be represented"
_LATE = 4  # the last quarter of the looks stands for the end

USUAL = 1e-3  # of a step to the weights it changes
_MOST_POINTS = 80
_MOST_FAINT = 2000
_LAST_LOOKS = 5
_MEANT = "dashed: 0.001, a typical size; far longer steps undo learning, far shorter hardly learn"


@picture(
    "training",
    example="ds.draw.layers(training.trace)",
    caption="The norm of the gradient in each layer by step, the first layer lowest.",
    order=20,
)
def layers(trace: Trace | HasTrace, *, axes: Axes | None = None) -> Axes:
    """Draw the norm of the gradient in each layer by step, the first layer lowest.

    Colours are logarithmic. A gradient that vanishes on its way back darkens towards the bottom, one that explodes
    lightens.

    Args:
        trace: the training of a network, or its trace.
        axes: where to draw; new ones if None.

    Returns:
        The axes, whose `figure` can be saved.

    Raises:
        SettingError: if the trace holds no layers.
    """
    trace = inputs.trace_of(trace, "layers")
    steps, norms = by_layer.steps_of(trace), by_layer.quantity(trace, "gradient_norm")
    axes = inputs.axes_of(axes, lambda: style.new_axes(size=(7.6, 4.6)))
    shown, rows = by_layer.in_blocks(steps, norms, _MOST_COLUMNS)
    _heat(axes, shown, rows.T)
    _name_rows(axes, trace.layer_names)
    axes.set_xlabel("step")
    axes.set_ylabel("layer, from input (below) to output")
    style.calm(axes)
    axes.grid(visible=False)
    style.title(axes, "Gradient in each layer", below=_summary(norms, with_none=bool(np.any(rows == 0))))
    return axes


def _heat(axes: Axes, steps: np.ndarray, norms: np.ndarray) -> None:
    """Draw norms, shape (layers, looks), as colours, with a colour bar."""
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm

    positive = norms[np.isfinite(norms) & (norms > 0)]
    highest = float(positive.max()) if len(positive) else 1.0
    # Gradients that underflow would stretch the colours over hundreds of decades.
    lowest = max(float(positive.min()), _DEEPEST * highest) if len(positive) else 0.1
    lowest = min(lowest, highest / 10)  # nearly equal norms get nearly equal colours
    colours = colormaps[_COLOURS].with_extremes(bad=_UNKNOWN, under=_NOTHING)
    seen = np.where(norms > 0, np.maximum(norms, lowest), np.where(norms == 0, lowest / 10, np.nan))
    edges = np.arange(len(norms) + 1) - 0.5
    scale: Any = LogNorm(lowest, highest)
    mesh = axes.pcolormesh(_edges(steps), edges, np.ma.masked_invalid(seen), norm=scale, cmap=colours, rasterized=True)
    bar = axes.figure.colorbar(mesh, ax=axes, pad=0.02, extend="neither")
    bar.set_label("‖gradient‖ by the layer's weights and biases", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)  # type: ignore[operator]  # the stubs take it for a dictionary


def _edges(steps: np.ndarray) -> np.ndarray:
    """Return where one look's column ends and the next begins: half-way between their steps."""
    if len(steps) == 1:
        return np.array([steps[0] - 0.5, steps[0] + 0.5])
    between = (steps[1:] + steps[:-1]) / 2
    return np.concatenate([[2 * steps[0] - between[0]], between, [2 * steps[-1] - between[-1]]])


def _name_rows(axes: Axes, names: tuple[str, ...]) -> None:
    """Write the names of the layers, some of them where there are many."""
    shown = range(0, len(names), -(-len(names) // _MOST_NAMES))
    axes.set_yticks(shown, [by_layer.short(names[index]) for index in shown])


def _summary(norms: np.ndarray, *, with_none: bool) -> str:
    """Return how the first layer's gradient compares, in words."""
    late = norms[-max(1, len(norms) // _LATE) :]
    first, last = (float(np.median(column[np.isfinite(column)])) for column in (late[:, 0], late[:, -1]))
    parts = []
    if first == 0 and norms.shape[1] > 1:
        parts.append("none reaches the first layer")
    elif norms.shape[1] > 1 and np.isfinite(first) and last > 0:
        parts.append(f"in the end the first layer's is {number(first / last, 2)} times the last one's")
    return "; ".join([*parts, *([_NO_GRADIENT] if with_none else [])])


@picture(
    "training",
    example="ds.draw.updates(training.trace)",
    caption="The length of each step over the norm of the weights it changes.",
    order=40,
)
def updates(trace: Trace | HasTrace, *, axes: Axes | None = None) -> Axes:
    """Draw the length of each step over the norm of the weights it changes, layer by layer.

    As a rule of thumb, about a thousandth is usual. Steps far above it undo what was learned; far below it, the layer
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
    style.title(axes, "How far each step moves a layer, relative to its weights", below=_MEANT)
    by_layer.name_colours(axes, trace.layer_names)
    return axes


def _lines(axes: Axes, steps: np.ndarray, ratios: np.ndarray, names: tuple[str, ...]) -> None:
    """Draw a line a layer: its medians over a few looks, and faintly behind them every look."""
    moving = np.where(np.isfinite(ratios) & (ratios > 0), ratios, np.nan)
    every = slice(None, None, max(len(steps) // _MOST_FAINT, 1))
    at, smooth = by_layer.in_blocks(steps, moving, _MOST_POINTS)
    for index, colour in enumerate(by_layer.colours(len(names))):
        name = by_layer.short(names[index])
        still = ratios[np.isfinite(ratios[:, index]), index][-_LAST_LOOKS:]
        name += " (stands still)" if len(still) and not still.any() else ""
        if len(at) < len(steps):
            axes.plot(steps[every], moving[every, index], color=colour, linewidth=0.6, alpha=0.16, zorder=2)
        axes.plot(at, smooth[:, index], color=colour, linewidth=1.7, zorder=3, label=name)
    if not np.isfinite(moving).any():
        by_layer.mark_nothing(axes, "no step moved any layer")
