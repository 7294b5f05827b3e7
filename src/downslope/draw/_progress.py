"""The picture of a descent by step: value, gradient norm and learning rate, with the findings marked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope.draw import _inputs as inputs
from downslope.draw import _style as style
from downslope.draw._style import picture
from downslope.trace import HasTrace, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.diagnosis import Finding

__all__ = ["progress"]

_PANELS = (("value", style.PATH), ("gradient_norm", style.START), ("learning_rate", style.RATE))
_HIGHEST = 1e200  # above this the marks of a logarithmic axis may not be finite
_LABELS = {"value": "value", "gradient_norm": "‖gradient‖", "learning_rate": "learning rate α"}


@picture(
    "descent",
    example="ds.draw.progress(trace, ds.diagnose(trace))",
    caption="Value, norm of the gradient and learning rate by step; what was found is marked where it shows.",
    marks_findings=True,
    order=10,
)
def progress(
    trace: Trace | HasTrace, findings: Iterable[Finding] | None = None, *, axes: Sequence[Axes] | None = None
) -> list[Axes]:
    """Draw value, gradient norm and learning rate by step.

    Args:
        trace: the descent, or a result that holds its trace.
        findings: a diagnosis; each finding is marked over the steps at which it shows.
        axes: three axes to draw on, one below the other; new ones if None.

    Returns:
        The axes, one a panel.
    """
    trace, marked = inputs.trace_of(trace, "progress"), inputs.findings_of(findings)
    panels = inputs.panels_of(axes, 3, lambda: style.new_panels(3, heights=(3, 2, 1), size=(7.2, 6.2)))
    steps = trace.columns["step"]
    for panel, (name, colour) in zip(panels, _PANELS, strict=True):
        _line(panel, steps, trace.columns[name], colour)
        panel.set_ylabel(_LABELS[name], fontsize=9)
        style.calm(panel)
    for finding in marked:
        _mark(panels[0], finding, steps)
    panels[-1].set_xlabel("step")
    style.title(panels[0], str(trace.plan.get("read_as", "")))
    style.legend(panels[0])
    return panels


def _line(panel: Axes, steps: np.ndarray, column: np.ndarray, colour: str) -> None:
    """Draw a column by step, on a logarithmic scale where it spans more than two powers of ten."""
    finite = np.abs(column) < _HIGHEST
    panel.plot(steps[finite], column[finite], color=colour, linewidth=1.7)
    if finite.sum() < 2:
        panel.set_yticks([]) if not finite.any() else panel.plot(steps[finite], column[finite], "o", color=colour)
        return
    values = column[finite]
    positive = values[values > 0]
    if len(positive) == len(values) and positive.max() / positive.min() > 100:
        panel.set_yscale("log")
    elif values.max() - values.min() <= 1e-12 * max(abs(values).max(), 1e-300):
        centre = values[0]
        panel.set_ylim(centre - 0.5 * abs(centre) - 1e-12, centre + 0.5 * abs(centre) + 1e-12)


def _mark(panel: Axes, finding: Any, steps: np.ndarray) -> None:
    """Mark the steps at which a finding shows, with its name in the legend."""
    colours = {"good": style.END, "note": style.NOTE, "problem": style.PROBLEM}
    colour = colours[finding.severity.value]
    first, last = finding.steps
    half = 0.004 * max(float(steps[-1] - steps[0]), 1.0)
    low, high = (first, last) if last - first > 2 * half else (first - half, last + half)
    panel.axvspan(low, high, color=colour, alpha=0.13, linewidth=0, label=finding.symptom.replace("_", " "))
