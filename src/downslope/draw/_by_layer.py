"""The record of a network's layers as arrays to draw, and the colours of the layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._errors import SettingError
from downslope._numbers import evenly_spread
from downslope.draw import _style as style
from downslope.trace import Outcome, Trace, median_over_looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DEPTH = "viridis"
_LIGHTEST = 0.88  # of the colours of depth; beyond it they are too pale on white
_MOST_LINES = 8  # that a legend names; more get a colour bar
_LONGEST = 26


def steps_of(trace: Trace) -> np.ndarray:
    """Return the steps at which the layers were looked into, shape (looks,).

    Raises:
        SettingError: if the trace holds no layers.
    """
    steps = np.asarray(trace.columns["step"] if trace.layer_steps is None else trace.layer_steps)
    # A training with layers_every=0 has layers, and no look into them.
    if not trace.layer_names or not len(steps):
        raise SettingError("this trace holds no layers to draw", hint="a training records them: ds.train(…).trace")
    return steps


def quantity(trace: Trace, name: str) -> np.ndarray:
    """Return a column of `trace.layers` as an array, shape (looks, layers), NaN where there is no number.

    Raises:
        SettingError: if the trace holds no layers, or nothing of the kind for any of them.
    """
    looks = len(steps_of(trace))
    # A run without a finite number recorded its layers all the same, and the picture says that nothing is known.
    is_there = name in trace.layers.columns and (trace.layers[name].count() or trace.outcome is Outcome.NOT_FINITE)
    if not is_there:
        raise SettingError(f"this trace holds no {name} of its layers to draw")
    return trace.layers[name].to_numpy().astype(float).reshape(looks, len(trace.layer_names))


def in_blocks(steps: np.ndarray, rows: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return medians over blocks of neighbouring looks, at most so many, with the step in the middle of each.

    Args:
        steps: shape (looks,).
        rows: shape (looks, …).
        most: blocks; fewer looks than this come back as they are.
    """
    if len(steps) <= most:
        return steps, rows
    # Medians, not means: one burst would colour a whole block.
    size = -(-len(steps) // most)
    cuts = range(0, len(steps), size)
    middles = np.array([np.mean(steps[cut : cut + size]) for cut in cuts])
    return middles, np.array([median_over_looks(rows[cut : cut + size]) for cut in cuts])


def short(name: str) -> str:
    """Return a layer's name, its beginning left out where it is long."""
    return name if len(name) <= _LONGEST else "…" + name[1 - _LONGEST :]


def colours(count: int) -> list[Any]:
    """Return a colour for each layer, from the dark first to the light last."""
    from matplotlib import colormaps

    return [colormaps[_DEPTH](share) for share in np.linspace(0, _LIGHTEST, count)]


def name_colours(axes: Axes, names: tuple[str, ...]) -> None:
    """Show which colour is which layer, by a legend beside the picture, or by a bar where there are many."""
    if len(names) <= _MOST_LINES:
        handles, labels = axes.get_legend_handles_labels()
        position: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.01, 1), "borderaxespad": 0}
        axes.legend(handles[::-1], labels[::-1], frameon=False, fontsize=9, **position)
        return
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    shades = ScalarMappable(Normalize(-0.5, len(names) - 0.5), ListedColormap(colours(len(names))))
    marked = evenly_spread(len(names), 6)
    bar = axes.figure.colorbar(shades, ax=axes, ticks=marked, pad=0.02)
    bar.ax.set_yticklabels([short(names[index]) for index in marked], fontsize=8)
    bar.outline.set_visible(False)  # type: ignore[operator]  # the stubs take it for a dictionary


def mark_nothing(axes: Axes, text: str) -> None:
    """Write into an empty panel why it is empty."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=8, color=style.RATE)
