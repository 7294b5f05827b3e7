"""The picture of the curvature by step, with the largest curvature that the learning rate tolerates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._errors import SettingError
from downslope._text import number
from downslope.draw import _inputs as inputs
from downslope.draw import _style as style
from downslope.draw._style import picture
from downslope.methods import facts_of
from downslope.trace import HasTrace, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["sharpness"]

_FAR = 8.0  # times: a bound farther above what was measured asks for a logarithmic axis


@picture(
    "training",
    example="ds.draw.sharpness(training.trace)",
    caption="The ends of the Hessian's spectrum by step.",
    order=50,
)
def sharpness(trace: Trace | HasTrace, *, axes: Sequence[Axes] | None = None) -> list[Axes]:
    """Draw the ends of the Hessian's spectrum by step, with the curvature at which steps of this rate overshoot.

    Gradient descent overshoots where λ > 2/α, with momentum β where λ > (2 + 2β)/α. Adam and its like divide each
    coordinate by a scale P, and what counts is the highest eigenvalue of P⁻¹H: for Adam beside
    (2 + 2β₁)/((1 − β₁)α), 38/α as usual. The two stand in a panel of their own, above the plain ends.

    Args:
        trace: a descent of which more than one spectrum was taken, such as the training of a network.
        axes: one, or for a method that scales coordinates two, from above; new ones if None.

    Returns:
        The axes.

    Raises:
        SettingError: if no spectrum was taken.

    References:
        Cohen et al., "Gradient descent on neural networks typically occurs at the edge of stability", 2021, and
        "Adaptive gradient methods at the edge of stability", 2022.
    """
    trace = inputs.trace_of(trace, "sharpness")
    if not trace.spectra:
        raise SettingError("this trace holds no curvature to draw", hint="train(…, probe_every=…) records it")
    scaled = np.array([_or_nan(look.preconditioned_highest) for look in trace.spectra])
    two = bool(np.isfinite(scaled).any())
    panels = inputs.panels_of(axes, 2 if two else 1, lambda: _new_panels(two))
    steps = np.array([look.step for look in trace.spectra])
    highest = np.array([look.highest for look in trace.spectra])
    if two:
        _line(panels[0], steps, scaled, style.PATH, "highest, as the\nmethod scales it")
    _line(panels[-1], steps, highest, style.PATH if not two else style.START, "highest")
    _line(panels[-1], steps, np.array([look.lowest for look in trace.spectra]), style.RATE, "lowest")
    bound = _draw_bound(panels[0], trace)
    for panel in panels:
        panel.set_ylabel("curvature λ of P⁻¹H" if two and panel is panels[0] else "curvature λ of H")
        _scale(panel)
        style.calm(panel)
        style.legend(panel, beside=True)
    panels[-1].set_xlabel("step")
    style.title(panels[0], _summary(scaled if two else highest, steps, bound))
    return panels


def bound_of(trace: Trace) -> tuple[float, str] | None:
    """Return the largest αλ that a trace's method bears, as a number and in symbols; None where there is none."""
    method = facts_of(trace.plan)
    if method.bound is None:
        return None
    in_symbols = "β" in method.bound_text and not method.scaled
    return method.bound, method.bound_text if in_symbols else number(method.bound, 3)


def _new_panels(two: bool) -> list[Axes]:
    if not two:
        return [style.new_axes(size=(8.6, 4.4))]
    return style.new_panels(2, heights=(3, 2), size=(8.6, 6.0))


def _or_nan(number: float | None) -> float:
    return float("nan") if number is None else float(number)


def _line(axes: Axes, steps: np.ndarray, values: np.ndarray, colour: str, name: str) -> None:
    """Draw a measured quantity, a dot for each look."""
    known = np.isfinite(values)
    size = 4 if len(steps) <= 40 else 2
    axes.plot(steps[known], values[known], "o-", color=colour, linewidth=1.4, markersize=size, label=name)


def _draw_bound(axes: Axes, trace: Trace) -> tuple[np.ndarray, np.ndarray] | None:
    """Draw the curvature at which steps overshoot; return its steps and heights, None where there is no such bound."""
    bound = bound_of(trace)
    steps, rates = np.asarray(trace.columns["step"]), np.asarray(trace.columns["learning_rate"], dtype=float)
    known = np.isfinite(rates) & (rates > 0)
    if bound is None or not known.any():
        return None
    most, name = bound
    height = most / rates[known]
    look: dict[str, Any] = {"color": style.PROBLEM, "linewidth": 1.4, "linestyle": (0, (5, 3))}
    look["label"] = f"αλ = {name}:\nsteeper overshoots"
    if np.ptp(height) == 0:
        axes.axhline(height[0], **look)
    else:
        axes.plot(steps[known], height, **look)
    return steps[known], height


def _scale(axes: Axes) -> None:
    """Make heights logarithmic to both sides of 0 where a line would lie flat beside the highest."""
    axes.margins(y=0.1)
    lines = [np.abs(np.asarray(line.get_ydata(), dtype=float)) for line in axes.get_lines()]
    # The lowest eigenvalue may be negative, so the axis can be logarithmic on both sides of 0.
    tops = [line[line > 0].max() for line in lines if np.any(line > 0)]
    if len(tops) > 1 and max(tops) > _FAR * min(tops):
        heights = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.get_lines()])
        if np.all(heights > 0):
            axes.set_yscale("log")
        else:
            axes.set_yscale("symlog", linthresh=float(min(tops)))


def _summary(values: np.ndarray, steps: np.ndarray, bound: tuple[np.ndarray, np.ndarray] | None) -> str:
    """Return the share of the bound that is reached, as a title."""
    known = np.flatnonzero(np.isfinite(values))
    if bound is None or len(known) == 0:
        return "Sharpness of the loss along the training"
    last = known[-1]
    share = float(values[last] / np.interp(steps[last], *bound))
    return f"Sharpness: in the end {number(share, 2)} times the most that the learning rate bears"
