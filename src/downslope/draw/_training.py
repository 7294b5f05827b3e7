"""The picture of a training: its loss, its score, and the findings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._text import in_words, number
from downslope.draw import _inputs as inputs
from downslope.draw import _style as style
from downslope.draw._style import picture
from downslope.trace import HasTrace, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.diagnosis import Finding

__all__ = ["training"]

_SMOOTHED_OVER = 50  # the smoothed loss is a mean over so many-th of the run
_MOST_POINTS = 4000
_HIGHEST = 1e30  # above this the marks of a logarithmic axis may not be finite
_LOWEST_SCORE = -1.0  # an R² below it says no more than that the network is worse than the mean
_LANE = 0.42  # inches
_COLOURS = {"good": style.END, "note": style.NOTE, "problem": style.PROBLEM}


@picture(
    "training",
    example="ds.draw.training(training.trace, ds.diagnose(training.trace))",
    caption=(
        "Loss and score by step, on the rows trained on and on those held back; below, what was found, over the "
        "steps at which it shows."
    ),
    marks_findings=True,
    order=10,
)
def training(
    trace: Trace | HasTrace, findings: Iterable[Finding] | None = None, *, axes: Sequence[Axes] | None = None
) -> list[Axes]:
    """Draw the training of a network: loss, score and findings by step.

    Above, each step's loss, its running mean, and the loss on rows that were held back. Below, the accuracy or R²
    beside the scores of the better of two simple learners on the same rows and of guessing. At the bottom, each
    finding as a bar over the steps at which it shows.

    Args:
        trace: the training, or a result that holds its trace.
        findings: a diagnosis; none are drawn if None.
        axes: one for each of the panels that there are, from above; new ones if None.

    Returns:
        The axes, one a panel: loss; score, if it was measured; findings, if there are any.
    """
    trace, marked = inputs.trace_of(trace, "training"), inputs.findings_of(findings)
    score = _score(trace)
    count = 1 + (score is not None) + bool(marked)
    panels = inputs.panels_of(axes, count, lambda: _new_panels(score is not None, len(marked)))
    loss, *others = panels
    _loss(loss, trace)
    if score is not None:
        _scores(others[0], trace, score)
    first = float(trace.columns["step"][0])
    last = max(float(trace.last_step), first + 1)
    for panel in panels:
        style.calm(panel)
        panel.set_xlim(first - 0.02 * (last - first), last + 0.02 * (last - first))
    if marked:
        _lanes(panels[-1], marked, first, last)
    panels[-1].set_xlabel("step")
    style.title(loss, str(trace.plan.get("read_as", "")))
    return panels


def _new_panels(scored: bool, findings: int) -> list[Axes]:
    """Return the panels, one below the other."""
    lanes = _LANE * findings + 0.15
    heights = [3.0, *([2.0] if scored else []), *([lanes] if findings else [])]
    return (
        style.new_panels(len(heights), heights=heights, size=(8.8, sum(heights) + 1.1))
        if len(heights) > 1
        else [style.new_axes(size=(8.8, 4.2))]
    )


def _score(trace: Trace) -> str | None:
    """Return the name of the metric that people read, such as accuracy, if it was measured."""
    own = str((trace.facts.get("network") or {}).get("metric", ""))
    measured = [name.split("_", 1)[1] for name in trace.metrics if name.startswith(("training_", "validation_"))]
    known = [name for name in dict.fromkeys([own, *measured]) if name in measured and name != "loss"]
    return known[0] if known else None


def _loss(axes: Axes, trace: Trace) -> None:
    """Draw the loss: every step faintly, its running mean, and the points of the validation."""
    steps, value = np.asarray(trace.columns["step"]), np.asarray(trace.columns["value"], dtype=float)
    # Matplotlib's logarithmic ticks overflow on the values of a run that explodes.
    value = np.where(np.abs(value) < _HIGHEST, value, np.nan)
    every = max(len(steps) // _MOST_POINTS, 1)
    marker = "o" if len(steps) == 1 else None
    axes.plot(
        steps[::every], value[::every], color=style.PATH, linewidth=0.7, alpha=0.4, marker=marker, label="each step"
    )
    size = max(len(steps) // _SMOOTHED_OVER, 1)
    if size > 1:
        at, smooth = steps[size - 1 :] - (size - 1) / 2, _running_mean(value, size)
        axes.plot(at, smooth, color=style.PATH, linewidth=1.8, label=f"mean of {size} steps")
    shown = [value]
    if "validation_loss" in trace.metrics:
        at, held = _measured(trace, "validation_loss")
        axes.plot(at, held, "o-", color=style.START, linewidth=1.0, markersize=3.5, label="validation")
        shown.append(held)
    style.scale_height(axes, np.concatenate(shown))
    axes.set_ylabel("loss")
    style.legend(axes, beside=True)


def _running_mean(values: np.ndarray, size: int) -> np.ndarray:
    """Return the mean of each `size` neighbours."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    return (sums[size:] - sums[:-size]) / size


def _measured(trace: Trace, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps at which a metric was measured, and its values."""
    column = np.asarray(trace.metrics[name], dtype=float)
    known = np.abs(column) < _HIGHEST
    return np.asarray(trace.metrics["step"])[known], column[known]


def _scores(axes: Axes, trace: Trace, score: str) -> None:
    """Draw a score on training and held-back rows, with the scores of a simple learner and of guessing."""
    for part, colour in (("training", style.PATH), ("validation", style.START)):
        if f"{part}_{score}" in trace.metrics:
            at, scores = _measured(trace, f"{part}_{score}")
            axes.plot(at, scores, "o-", color=colour, linewidth=1.3, markersize=3.5, label=part)
    data = trace.facts.get("data") or {}
    held = data.get("validation_reference_score")
    reference = data.get("reference_score") if held is None else held
    named = ((reference, data.get("reference_by"), (0, (5, 2))), (data.get("chance_score"), "guessing", (0, (1, 1.5))))
    for level, name, dashes in named:
        if level is not None and np.isfinite(level):
            label = f"{name}, {number(level, 3)}"
            axes.axhline(level, color=style.RATE, linewidth=1.1, linestyle=dashes, label=label, zorder=1)
    low, high = axes.get_ylim()
    if low < _LOWEST_SCORE:
        axes.set_ylim(_LOWEST_SCORE, max(high, 1.05))
    axes.set_ylabel(in_words(score))
    style.legend(axes, beside=True)


def _lanes(axes: Axes, findings: Sequence[Any], first: float, last: float) -> None:
    """Draw each finding as a bar in a lane of its own, its name above the bar."""
    least = 0.006 * (last - first)
    for lane, finding in enumerate(findings):
        begin, end = (float(step) for step in finding.steps)
        width = max(end - begin, least)
        colour = _COLOURS[finding.severity.value]
        name = finding.symptom.replace("_", " ")
        axes.barh(lane + 0.2, width, 0.22, left=min(begin, last - least), color=colour, alpha=0.85, label=name)
        late = begin > (first + last) / 2
        position = {"x": end if late else begin, "ha": "right" if late else "left"}
        axes.text(y=lane - 0.02, s=name, va="bottom", fontsize=9, color=style.INK, **position)
    axes.set_ylim(len(findings) - 0.55, -0.55)
    axes.set_yticks([])
    axes.set_ylabel("findings", fontsize=9)
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
