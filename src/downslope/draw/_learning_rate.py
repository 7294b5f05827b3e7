"""The picture of a learning rate search: the range test, the stable range, the checks and the chosen rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from downslope._text import count, number
from downslope.draw import _inputs as inputs
from downslope.draw import _style as style
from downslope.draw._style import picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.remedies import RateFinding

__all__ = ["learning_rate"]

_SIZE = (8.6, 4.6)
_STEEP = 30  # from the loss at the start to the lowest, at which heights are logarithmic
_QUIET = 30  # times below the smallest rate that was checked, where the range test begins to be drawn
_DEEPEST = 1e-8  # of the loss at the start; what lies lower is drawn there


@picture(
    "rate finding",
    example="ds.draw.learning_rate(ds.find_learning_rate(narrow, start))",
    order=10,
)
def learning_rate(result: RateFinding, *, axes: Axes | None = None) -> Axes:
    """Draw the search for a learning rate.

    The line is the range test, whose rate grows from step to step; the dots are the losses that runs from the start
    reached at one rate each, those that ran away along the upper edge. The range that is stable by curvature is shaded.

    Args:
        result: what `find_learning_rate` returned.
        axes: where to draw; new ones if None.
    """
    result = inputs.result_of(result, "learning_rate", inputs.RATE_FINDING)
    axes = inputs.axes_of(axes, lambda: style.new_axes(size=_SIZE))
    rates = np.array([check.rate for check in result.checks])
    ends = np.array([check.after for check in result.checks])
    descends = np.array([check.descends for check in result.checks], dtype=bool)
    start = result.checks[0].before
    axes.set_xscale("log")
    low, high = _heights(axes, start, np.concatenate([result.test_losses, ends[descends]]))
    _stable_range(axes, result, rates)
    axes.axhline(start, color=style.RATE, linewidth=1, linestyle=":", label="loss at the start", zorder=1)
    axes.plot(
        result.test_rates, result.test_losses, color=style.FUNCTION, linewidth=1.2, alpha=0.55, label="range test"
    )
    floor, ceiling = _inner_ends(axes, low, high)
    for name, chosen, colour in (("checked, descends", descends, style.START), ("does not", ~descends, style.PROBLEM)):
        if chosen.any():
            # Runs that ran away have no height: put them along the upper edge, where they would be.
            shown = np.clip(np.nan_to_num(ends[chosen], nan=ceiling, posinf=ceiling), floor, ceiling)
            axes.plot(rates[chosen], shown, "o", color=colour, markersize=5, label=name, zorder=3)
    if result.pick is not None:
        at = [result.pick.rate], [max(result.pick.after, floor)]
        axes.plot(*at, "*", color=style.PATH, markersize=17, markeredgecolor="white", zorder=5)
        axes.plot([], [], "*", color=style.PATH, markersize=11, label=f"take α = {number(result.pick.rate)}")
    axes.set_ylim(low, high)
    axes.set_xlabel("learning rate α")
    axes.set_ylabel("loss")
    style.calm(axes)
    below = "no rate descends" if result.pick is None else f"each dot: {count(result.budget)} from the start"
    style.title(axes, result.read_as, below=f"{result.method}; {below}")
    style.legend(axes, beside=True)
    return axes


def _heights(axes: Axes, start: float, losses: np.ndarray) -> tuple[float, float]:
    """Choose the scale of the heights and return its ends, so that what went down fills the picture."""
    finite = losses[np.isfinite(losses)]
    lowest = float(min(finite.min(), start)) if len(finite) else start
    if not np.isfinite(lowest):
        return 0.0, 1.0
    if start > 0 and lowest >= 0 and lowest * _STEEP < start:
        axes.set_yscale("log")
        bottom = max(lowest, _DEEPEST * start)
        reach = start / bottom
        return bottom / reach**0.06, start * reach**0.2
    span = start - lowest or abs(start) or 1.0
    return lowest - 0.06 * span, start + 0.25 * span


def _inner_ends(axes: Axes, low: float, high: float) -> tuple[float, float]:
    """Return the lowest and the highest position of a dot, clear of the ends of the axis."""
    if axes.get_yscale() == "log":
        return low * (high / low) ** 0.03, high * (low / high) ** 0.03
    return low + 0.03 * (high - low), high - 0.03 * (high - low)


def _stable_range(axes: Axes, result: RateFinding, rates: np.ndarray) -> None:
    """Shade the rates that are stable by curvature, and set the ends of the axis."""
    tested = result.test_rates if len(result.test_rates) else rates
    low = float(max(tested[0], rates[0] / _QUIET)) / 1.2
    high = float(max(tested[-1], rates[-1])) * 1.2
    bound = result.stable_bound
    if bound is not None:
        low, high = min(low, bound / 2), max(high, bound * 2)
        axes.axvspan(low, bound, color=style.END, alpha=0.08, linewidth=0)
        label = f"stable by curvature, below {number(bound, 3)}"
        axes.axvline(bound, color=style.END, linewidth=1.4, linestyle="--", label=label)
    axes.set_xlim(low, high)
