"""The picture of each layer's activations by step: mean and spread, variation over examples, stuck units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from downslope._numbers import evenly_spread
from downslope.draw import _by_layer as by_layer
from downslope.draw import _inputs as inputs
from downslope.draw import _style as style
from downslope.draw._style import picture
from downslope.trace import HasTrace, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["activations"]

_MOST_LAYERS = 6
_MOST_POINTS = 200
_FAR = 1e3  # times the typical activation: what lies farther is cut off, so that one burst flattens nothing
_ROWS = ("activation", "variation over examples", "share of units")


@picture(
    "training",
    example="ds.draw.activations(training.trace)",
    caption="The activations of each layer by step.",
    order=30,
)
def activations(trace: Trace | HasTrace, *, axes: Sequence[Axes] | None = None) -> list[Axes]:
    """Draw the activations of each layer by step, a column a layer.

    Layers whose activation is not known are left out; of more than six, six from first to last are shown.

    Above, their mean with one standard deviation to either side. In the middle, how much a unit's activation varies
    from example to example, which is all that later layers can learn from. Below, the share that is saturated (where
    the activation is all but flat) and the share of units that are dead (flat on every example of the batch).

    Args:
        trace: the training of a network, or its trace.
        axes: three for each layer that is shown, row by row; new ones if None.

    Returns:
        The axes, row by row.

    Raises:
        SettingError: if the trace holds no layers.
    """
    trace = inputs.trace_of(trace, "activations")
    steps = by_layer.steps_of(trace)
    shown = _shown(trace)
    panels = inputs.panels_of(axes, 3 * len(shown), lambda: _new_panels(len(shown)))
    upper, middle, lower = (panels[row * len(shown) : (row + 1) * len(shown)] for row in range(3))
    _spread(upper, trace, steps, shown)
    _variation(middle, trace, steps, shown)
    _shares(lower, trace, steps, shown)
    for row, name in zip((upper, middle, lower), _ROWS, strict=True):
        row[0].set_ylabel(name, fontsize=9)
    for panel in panels:
        style.calm(panel)
        panel.tick_params(labelsize=8)
    for panel, title in zip(upper, _titles(trace, shown), strict=True):
        panel.set_title(title, fontsize=9, color=style.INK)
    for panel in lower:
        panel.set_xlabel("step", fontsize=9)
    for panel in (upper[-1], lower[-1]):
        style.legend(panel, beside=True)
    if axes is None:
        whole = f", {len(shown)} of {len(trace.layer_names)} layers" if len(shown) < len(trace.layer_names) else ""
        upper[0].figure.suptitle(
            f"Outputs of the units of each layer, from input to output{whole}", x=0.01, ha="left", fontsize=11
        )
    return panels


def _shown(trace: Trace) -> np.ndarray:
    """Return the indices of the layers to show: of those whose activations are known, if any are."""
    known = np.flatnonzero(np.any(np.isfinite(by_layer.quantity(trace, "activation_mean")), axis=0))
    indices = known if len(known) else np.arange(len(trace.layer_names))
    return indices[evenly_spread(len(indices), _MOST_LAYERS)]


def _new_panels(count: int) -> list[Axes]:
    """Return three rows of panels, those of a row sharing their height."""
    figure = style.new_figure((max(1.75 * count + 2.2, 6.0), 6.0))
    grid = figure.subplots(3, count, sharex=True, sharey="row", squeeze=False)
    return list(grid.ravel())


def _titles(trace: Trace, shown: np.ndarray) -> list[str]:
    """Return the layers' names, with their activations where they are known."""
    names = (trace.facts.get("network") or {}).get("activations") or [None] * len(trace.layer_names)
    return [by_layer.short(trace.layer_names[index]) + f"\n{names[index] or ''}" for index in shown]


def _thinned(trace: Trace, name: str, steps: np.ndarray, shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a quantity of some layers with its steps, few enough to draw; NaN where it is not finite."""
    values = by_layer.quantity(trace, name)[:, shown]
    return by_layer.in_blocks(steps, np.where(np.isfinite(values), values, np.nan), _MOST_POINTS)


def _spread(panels: list[Axes], trace: Trace, steps: np.ndarray, shown: np.ndarray) -> None:
    """Draw mean and deviation."""
    at, mean = _thinned(trace, "activation_mean", steps, shown)
    _, deviation = _thinned(trace, "activation_deviation", steps, shown)
    low, high = mean - deviation, mean + deviation
    for index, panel in enumerate(panels):
        panel.axhline(0, color=style.GRID, linewidth=1.0, zorder=1)
        panel.plot(at, mean[:, index], color=style.START, linewidth=1.5, label="mean")
        panel.fill_between(
            at, low[:, index], high[:, index], color=style.START, alpha=0.22, linewidth=0, label="± deviation"
        )
        if not np.isfinite(mean[:, index]).any():
            by_layer.mark_nothing(panel, "not known")
    reach = np.abs(np.concatenate([low, high]))
    reach = reach[np.isfinite(reach)]
    if len(reach) and reach.max() > _FAR * np.median(reach) > 0:
        panels[0].set_yscale("symlog", linthresh=float(10 * np.median(reach)))


def _variation(panels: list[Axes], trace: Trace, steps: np.ndarray, shown: np.ndarray) -> None:
    """Draw the variation from example to example."""
    at, variation = _thinned(trace, "activation_variation", steps, shown)
    for index, panel in enumerate(panels):
        panel.plot(at, variation[:, index], color=style.FUNCTION, linewidth=1.5)
        if not np.isfinite(variation[:, index]).any():
            by_layer.mark_nothing(panel, "not known")
    style.scale_height(panels[0], variation)
    if panels[0].get_yscale() == "linear":
        panels[0].set_ylim(bottom=0)


def _shares(panels: list[Axes], trace: Trace, steps: np.ndarray, shown: np.ndarray) -> None:
    """Draw the saturated and the dead share."""
    at, saturated = _thinned(trace, "saturated_share", steps, shown)
    _, dead = _thinned(trace, "dead_share", steps, shown)
    known = np.any(np.isfinite(by_layer.quantity(trace, "activation_mean")[:, shown]), axis=0).tolist()
    for index, panel in enumerate(panels):
        panel.plot(at, saturated[:, index], color=style.NOTE, linewidth=1.5, label="saturated")
        panel.plot(at, dead[:, index], color=style.PROBLEM, linewidth=1.5, linestyle=(0, (4, 1.5)), label="dead")
        if not np.isfinite(saturated[:, index]).any():
            by_layer.mark_nothing(panel, "never flat" if known[index] else "not known")
    panels[0].set_ylim(-0.03, 1.03)
