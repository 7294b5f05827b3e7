"""The picture of a small network: its units, and the weights between them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._errors import SettingError
from downslope._text import number
from downslope.draw import _inputs as inputs
from downslope.draw import _style as style
from downslope.draw._style import picture
from downslope.trace import HasTrace, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["network"]

MOST_UNITS = 40
_WIDEST = 4.5
_MOST_LABELLED = 20  # edges that can carry their gradient as text
_POSITIVE, _NEGATIVE = style.START, style.PATH


@picture(
    "training",
    example=('small = ds.train("spirals", hidden=(8, 8), steps=400, progress=False)\nds.draw.network(small.trace)'),
    caption="The network at the end: weights as lines, biases as circles.",
    order=60,
)
def network(trace: Trace | HasTrace, *, axes: Axes | None = None) -> Axes:
    """Draw a network of dense layers as a graph: units as circles, weights as lines.

    A line is the wider the larger its weight, blue for a positive one and orange for a negative one; a circle is filled
    likewise by its bias. Below each layer stands the length of its last gradient, and beside each line its own part of
    the gradient where the trace kept them.

    Args:
        trace: the training of a network, or a descent whose parts are called `…/weight` and `…/bias`.
        axes: where to draw; new ones if None.

    Returns:
        The axes, whose `figure` can be saved.

    Raises:
        SettingError: for a network of more than forty units, or of layers that are not dense.
    """
    trace = inputs.trace_of(trace, "network")
    names, kernels = _dense(trace)
    sizes = [kernels[0].shape[0], *(kernel.shape[1] for kernel in kernels)]
    if sum(sizes) > MOST_UNITS:
        raise SettingError(
            f"a network of {' → '.join(map(str, sizes))} has {sum(sizes)} units, more than the {MOST_UNITS} that a "
            "graph can show",
            hint="draw.layers, draw.activations and draw.updates show networks of any size",
        )
    height = max((0.42 if trace.gradients is None else 0.9) * max(sizes) + 1.4, 3.6)
    axes = inputs.axes_of(axes, lambda: style.new_axes(size=(max(2.1 * len(sizes) + 1.6, 6.4), height)))
    columns = [_column(index, size, max(sizes)) for index, size in enumerate(sizes)]
    widest = max(float(np.abs(kernel).max()) for kernel in kernels) or 1.0
    for index, kernel in enumerate(kernels):
        _edges(axes, columns[index], columns[index + 1], kernel, widest)
        _gradients(axes, trace, names[index], columns[index], columns[index + 1], kernel)
    for index, spots in enumerate(columns):
        _units(axes, spots, _bias(trace, names[index - 1], sizes[index]) if index else None)
    _captions(axes, trace, names, columns)
    _legend(axes, widest)
    axes.set_xlim(-0.9, len(sizes) - 1 + 0.9)
    axes.set_ylim(-max(sizes) / 2 - 0.9, max(sizes) / 2 + 0.3)
    axes.set_axis_off()
    style.title(axes, f"The weights after {trace.steps_taken} steps")
    return axes


def _dense(trace: Trace) -> tuple[list[str], list[np.ndarray]]:
    """Return the names of the layers and their weights, shape (inputs, units) each, where each feeds the next."""
    description = (trace.facts.get("network") or {}).get("description") or {}
    parts = [part for part in trace.part_names if part.endswith("/weight") or part == "weight"]
    kernels = [np.asarray(trace.end[part], dtype=float) for part in parts]
    if description.get("kind") == "Equinox":
        kernels = [kernel.T for kernel in kernels]
    flat = kernels and all(kernel.ndim == 2 for kernel in kernels)
    if not flat or any(a.shape[1] != b.shape[0] for a, b in itertools.pairwise(kernels)):
        raise SettingError(
            "a graph shows dense layers, one after the other",
            hint="draw.layers, draw.activations and draw.updates show networks of any kind",
        )
    return [part.removesuffix("weight").rstrip("/") for part in parts], kernels


def _bias(trace: Trace, layer: str, units: int) -> np.ndarray:
    """Return the biases of a layer, 0 where it has none."""
    bias = trace.end.get(f"{layer}/bias" if layer else "bias")
    return np.zeros(units) if bias is None else np.ravel(np.asarray(bias, dtype=float))


def _column(index: int, size: int, tallest: int) -> np.ndarray:
    """Return the positions of the units of a layer, from above, shape (size, 2)."""
    apart = min(tallest / size, 2.0)
    return np.column_stack([np.full(size, float(index)), apart * ((size - 1) / 2 - np.arange(size))])


def _edges(axes: Axes, left: np.ndarray, right: np.ndarray, kernel: np.ndarray, widest: float) -> None:
    """Draw the weights of a layer, the small ones beneath the large."""
    from matplotlib.collections import LineCollection

    order = np.argsort(np.abs(kernel), axis=None)
    begin, end = np.unravel_index(order, kernel.shape)
    weights = kernel[begin, end]
    share = np.abs(weights) / widest
    lines: Any = np.stack([left[begin], right[end]], axis=1)
    drawn = LineCollection(
        lines,
        linewidths=_WIDEST * share,
        colors=[_POSITIVE if weight > 0 else _NEGATIVE for weight in weights],
        alpha=0.25 + 0.6 * share,
        zorder=2,
        capstyle="round",
    )
    drawn.set_array(None)
    axes.add_collection(drawn)


def _units(axes: Axes, spots: np.ndarray, bias: np.ndarray | None) -> None:
    """Draw the units of a layer, filled by their biases; inputs have none."""
    from matplotlib.colors import to_rgba

    bias = np.zeros(len(spots)) if bias is None else bias
    largest = float(np.abs(bias).max()) or 1.0
    x, y = spots.T
    axes.scatter(x, y, s=190, color="white", zorder=3)
    fills = [to_rgba(_POSITIVE if value > 0 else _NEGATIVE, 0.75 * abs(value) / largest) for value in bias]
    axes.scatter(x, y, s=190, color=fills, edgecolors=style.INK, linewidths=1.0, zorder=4)


def _gradients(axes: Axes, trace: Trace, layer: str, left: np.ndarray, right: np.ndarray, kernel: np.ndarray) -> None:
    """Write each weight's part of the last gradient on its line, where the trace kept them and there is room."""
    if trace.gradients is None or kernel.size > _MOST_LABELLED:
        return
    part = f"{layer}/weight" if layer else "weight"
    for begin, end in np.ndindex(*kernel.shape):
        name = f"{part}[{begin},{end}]"
        if name not in trace.coordinate_names:
            return
        slope = float(trace.gradients[-1, trace.coordinate_names.index(name)])
        # Lines that cross do so half-way: what is written on them stands nearer to where each begins.
        spot = left[begin] + 0.28 * (right[end] - left[begin])
        box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none", "pad": 0.8}
        text = f"∂ {number(slope, 2)}"
        axes.text(
            float(spot[0]),
            float(spot[1]),
            text,
            fontsize=7,
            ha="center",
            va="center",
            color=style.INK,
            bbox=box,
            zorder=5,
        )


def _captions(axes: Axes, trace: Trace, names: list[str], columns: list[np.ndarray]) -> None:
    """Label inputs and outputs, and under each layer its name and its last gradient."""
    left, right = _named(trace, len(columns[0]), len(columns[-1]))
    for labels, spots, side, align in ((left, columns[0], -0.2, "right"), (right, columns[-1], 0.2, "left")):
        for text, (x, y) in zip(labels, spots, strict=True):
            axes.text(x + side, y, text, ha=align, va="center", fontsize=9, color=style.INK)
    bottom = min(float(spots[:, 1].min()) for spots in columns) - 0.55
    for index, name in enumerate(names):
        slope = _length(trace, name)
        caption = f"{name}\n‖∇‖ = {number(slope, 2)}" if slope is not None else name
        axes.text(index + 0.5, bottom, caption, ha="center", va="top", fontsize=8, color=style.RATE)


def _named(trace: Trace, inputs: int, outputs: int) -> tuple[list[str], list[str]]:
    """Return the names of inputs and outputs, numbers where they have none."""
    encoding = trace.facts.get("encoding") or {}
    columns = [column["name"] for column in encoding.get("columns", []) if column["kind"] == "number"]
    target = encoding.get("target") or {}
    right = target.get("categories") or target.get("names") or []
    right = list(right)[-1:] if len(right) == 2 and outputs == 1 else list(right)
    left = columns if len(columns) == inputs else [f"x{index + 1}" for index in range(inputs)]
    right = right if len(right) == outputs else [f"y{index + 1}" for index in range(outputs)]
    return left, [str(name) for name in right]


def _length(trace: Trace, layer: str) -> float | None:
    """Return the length of a layer's last gradient, or None where it is not known."""
    if trace.part_columns and len(trace.part_columns["gradient_norm"]):
        owned = [part.startswith(f"{layer}/") for part in trace.part_names]
        return float(np.sqrt(np.sum(np.asarray(trace.part_columns["gradient_norm"])[-1, owned] ** 2)))
    return None


def _legend(axes: Axes, widest: float) -> None:
    """Explain the colours and widths."""
    axes.plot([], [], color=_POSITIVE, linewidth=_WIDEST, label=f"weight {number(widest, 2)}, or bias above 0")
    axes.plot([], [], color=_NEGATIVE, linewidth=_WIDEST, label=f"weight −{number(widest, 2)}, or bias below 0")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncol=2, frameon=False, fontsize=9)
