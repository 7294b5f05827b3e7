"""The picture of a prescription: what every run came to, unchanged, with other luck, and with each remedy."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from downslope.draw import _style as style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.remedies import Prescription

_WIDTH, _ABOVE, _ROW = 9.0, 1.7, 0.52  # inches
_LABEL = 38  # letters of a line of a row's name
_SPREAD = 0.2  # of a row's height: how far the dots of the first and the last seed lie from its middle
_STEEP = 1000  # from the highest to the lowest at which the scale is logarithmic
_DEEPEST = 1e-16  # of the highest; what lies lower is drawn there
_MOST = 12  # rows of remedies that were tried once
_GREY = "#8a97a3"


class _Row(NamedTuple):
    """What stands on a line of the picture.

    Args:
        name: at its left.
        scores: a dot each.
        told: at its right.
        colour: of its dots.
    """

    name: str
    scores: tuple[float, ...]
    told: str
    colour: str


def prescription(found: Prescription, *, axes: Axes | None = None) -> Axes:
    """Draw what was found to help a run.

    A line for the unchanged runs, one for those that only luck sets apart, and one for each remedy that was proved,
    coloured where it helped. A dot is a run, in the order of seeds from the upper to the lower; the tick is their mean.
    At the right stands the mean effect with its 95 % interval. Where nothing was proved, the remedies that were tried
    once are shown.

    Args:
        found: what `prescribe` returned.
        axes: where to draw; new ones if None.
    """
    rows = _proved(found) if found.trials else _tried(found)
    axes = style.new_axes(size=(_WIDTH, _ABOVE + _ROW * len(rows))) if axes is None else axes
    shown = [found.yardstick.sign * np.asarray(row.scores, float) for row in rows]
    floor = _scale(axes, np.concatenate(shown))
    axes.axvline(max(float(shown[0].mean()), floor), color=style.FUNCTION, linewidth=1, linestyle=":", zorder=1)
    for place, (row, values) in enumerate(zip(rows, shown, strict=True)):
        _line(axes, place, row, values, floor)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), [textwrap.fill(row.name, _LABEL) for row in rows])
    axes.set_xlabel(found.yardstick.words)
    style.calm(axes)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    if found.trials:
        _beside(axes, -0.5, found.yardstick.effect_heading, style.RATE)
    style.title(axes, _title(found), below=_below(found))
    return axes


def _proved(found: Prescription) -> list[_Row]:
    """Return the controls and the trials."""
    told = found.yardstick
    controls = [
        _Row("unchanged", found.control, "", style.FUNCTION),
        _Row(told.luck, found.reseeded, "", style.FUNCTION),
    ]
    return controls + [
        _Row(trial.remedy.name, trial.scores, told.improvement(trial.effect), style.END if trial.helped else _GREY)
        for trial in found.trials
    ]


def _tried(found: Prescription) -> list[_Row]:
    """Return the run as it was, and what was tried once, the best first."""
    tried = sorted(found.tried, key=lambda pair: -pair[1])[:_MOST]
    return [
        _Row("unchanged", (found.score,), "", style.FUNCTION),
        *(_Row(remedy.name, (score,), "", _GREY) for remedy, score in tried),
    ]


def _scale(axes: Axes, values: np.ndarray) -> float:
    """Choose the scale, and return the lowest number that is drawn where it lies."""
    highest, positive = float(values.max()), values[values > 0]
    if values.min() < 0 or not len(positive) or positive.min() * _STEEP > highest:
        return -np.inf
    axes.set_xscale("log")
    return _DEEPEST * highest


def _line(axes: Axes, place: int, row: _Row, values: np.ndarray, floor: float) -> None:
    """Draw a row: a dot a run, a tick at their mean, and what is told of it."""
    count = len(values)
    heights = place + (np.linspace(-_SPREAD, _SPREAD, count) if count > 1 else np.zeros(count))
    shown, mean = np.maximum(values, floor), max(float(values.mean()), floor)
    axes.plot([mean, mean], [place - 0.34, place + 0.34], color=row.colour, linewidth=1.6, zorder=2)
    edge = {"markeredgecolor": "white", "markeredgewidth": 0.7}
    axes.plot(shown, heights, "o", color=row.colour, markersize=6, **edge, label=row.name, zorder=3)
    if row.told:
        _beside(axes, place, row.told, row.colour if row.colour != _GREY else style.RATE)


def _beside(axes: Axes, place: float, text: str, colour: str) -> None:
    """Write at the right of a row."""
    beside = axes.get_yaxis_transform()
    axes.text(1.02, place, text, transform=beside, fontsize=9, color=colour, va="center", ha="left")


def _title(found: Prescription) -> str:
    """Return what was found, and what helps."""
    wrong = found.diagnosis[0].symptom.replace("_", " ").capitalize()
    if found.best is not None:
        return f"{wrong}, mended by {found.best.remedy.name}"
    return f"{wrong}: nothing helped" if found.tried else wrong


def _below(found: Prescription) -> str:
    """Return the verdict in a few words."""
    told, best = found.yardstick, found.best
    if best is None:
        return found.verdict
    before, after = told.shown(found.control), told.shown(best.scores)
    return f"{told.words} {before} → {after} over {best.effect.pairs} paired {told.pairs}; the ticks are means"
