"""The picture of a prescription: the score of every run, unchanged, re-seeded, and with each remedy."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from downslope._text import number
from downslope.draw import _inputs as inputs
from downslope.draw import _style as style
from downslope.draw._column_axis import ColumnAxis, column_axis
from downslope.draw._style import picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.remedies import Prescription

__all__ = ["prescription"]

_WIDTH, _ABOVE, _ROW = 9.0, 1.7, 0.52  # inches
_LABEL = 38  # letters of a line of a row's name
_SPREAD = 0.2  # of a row's height: how far the dots of the first and the last seed lie from its middle
_STEEP = 1000  # from the highest to the lowest at which the scale is logarithmic
_DEEPEST = 1e-16  # of the highest; what lies lower is rounding, and stands where 0 does
_MOST = 12  # rows of remedies that were tried once
_GREY = "#8a97a3"


class _Row(NamedTuple):
    """A line of the picture.

    Args:
        name: at its left.
        scores: a dot each.
        effect: at its right.
        colour: of its dots.
    """

    name: str
    scores: tuple[float, ...]
    effect: str
    colour: str


@picture(
    "prescription",
    example="""
        plan = ds.plan(narrow, start, learning_rate=0.11, steps=60)
        ds.draw.prescription(ds.prescribe(plan, seeds=3))
    """,
    order=10,
)
def prescription(result: Prescription, *, axes: Axes | None = None) -> Axes:
    """Draw the runs of a prescription, and the effect of each remedy.

    A line for the unchanged runs, for a descent one for those that only luck sets apart, and one for each remedy that
    was proved, coloured where it helped. A dot is a run, in the order of seeds from the upper to the lower; the tick is
    their mean. At the right stands the mean effect with its 95 % interval. Where nothing was proved, the remedies that
    were tried once are shown.

    Args:
        result: what `prescribe` returned.
        axes: where to draw; new ones if None.
    """
    result = inputs.result_of(result, "prescription", inputs.PRESCRIPTION)
    rows = _proved(result) if result.trials else _tried(result)
    axes = inputs.axes_of(axes, lambda: style.new_axes(size=(_WIDTH, _ABOVE + _ROW * len(rows))))
    shown = [result.yardstick.sign * np.asarray(row.scores, float) for row in rows]
    scale = _scale(np.concatenate(shown))
    scale.show(axes)
    axes.axvline(float(scale.at(shown[0].mean())), color=style.FUNCTION, linewidth=1, linestyle=":", zorder=1)
    for index, (row, values) in enumerate(zip(rows, shown, strict=True)):
        _line(axes, index, row, values, scale)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), [textwrap.fill(row.name, _LABEL) for row in rows])
    axes.set_xlabel(result.yardstick.words)
    style.calm(axes)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    if result.trials:
        _write_right(axes, -0.5, result.yardstick.effect_heading, style.RATE)
    style.title(axes, _title(result), below=_below(result))
    return axes


def _proved(result: Prescription) -> list[_Row]:
    """Return the controls and the trials."""
    yardstick = result.yardstick
    controls = [_Row("unchanged", result.control, "", style.FUNCTION)]
    controls += [_Row(yardstick.luck, result.reseeded, "", style.FUNCTION)] if result.reseeded else []
    return controls + [
        _Row(trial.remedy.name, trial.scores, yardstick.improvement(trial.effect), style.END if trial.helped else _GREY)
        for trial in result.trials
    ]


def _tried(result: Prescription) -> list[_Row]:
    """Return the unchanged run and the remedies that were tried once, the best first."""
    tried = sorted(result.tried, key=lambda pair: -pair[1])[:_MOST]
    return [
        _Row("unchanged", (result.score,), "", style.FUNCTION),
        *(_Row(remedy.name, (score,), "", _GREY) for remedy, score in tried),
    ]


class _Scale(NamedTuple):
    """The scale of the scores.

    Args:
        axis: its axis.
        floor: below it a score stands where 0 does; 0 where each stands at its value.
    """

    axis: ColumnAxis
    floor: float

    def show(self, axes: Axes) -> None:
        """Give axes this scale."""
        self.axis.show(axes)

    def at(self, values: np.ndarray | float) -> np.ndarray:
        """Return the positions of scores."""
        return self.axis.at(np.where((self.floor > 0) & (np.asarray(values) < self.floor), 0.0, values))


def _scale(values: np.ndarray) -> _Scale:
    """Choose the scale: logarithmic for scores above 0 over powers of ten, with those that vanish set apart."""
    highest, positive = float(values.max()), values[values > 0]
    if values.min() < 0 or not len(positive) or positive.min() * _STEEP > highest:
        return _Scale(column_axis("score", values, False), 0.0)
    floor = _DEEPEST * highest
    axis = column_axis("score", np.where(values < floor, 0.0, values), True)
    vanished = float(values[values < floor].max(initial=0.0))
    text = f"≤ {number(vanished, 1)}" if vanished else axis.zero_text
    return _Scale(dataclasses.replace(axis, zero_text=text), floor)


def _line(axes: Axes, index: int, row: _Row, values: np.ndarray, scale: _Scale) -> None:
    """Draw a row: a dot a run, a tick at their mean, and the effect."""
    count = len(values)
    heights = index + (np.linspace(-_SPREAD, _SPREAD, count) if count > 1 else np.zeros(count))
    shown, mean = scale.at(values), scale.at(values.mean())
    axes.plot([mean, mean], [index - 0.34, index + 0.34], color=row.colour, linewidth=1.6, zorder=2)
    edge = {"markeredgecolor": "white", "markeredgewidth": 0.7}
    axes.plot(shown, heights, "o", color=row.colour, markersize=6, **edge, label=row.name, zorder=3)
    if row.effect:
        _write_right(axes, index, row.effect, row.colour if row.colour != _GREY else style.RATE)


def _write_right(axes: Axes, height: float, text: str, colour: str) -> None:
    """Write at the right of a row."""
    beside = axes.get_yaxis_transform()
    axes.text(1.02, height, text, transform=beside, fontsize=9, color=colour, va="center", ha="left")


def _title(result: Prescription) -> str:
    """Return the finding, and what helps."""
    wrong = result.diagnosis[0].title
    if result.best is not None:
        return f"{wrong}, mended by {result.best.remedy.name}"
    return f"{wrong}: nothing helped" if result.tried else wrong


def _below(result: Prescription) -> str:
    """Return the verdict in a few words."""
    yardstick, best = result.yardstick, result.best
    if best is None:
        return result.verdict
    before, after = yardstick.shown(result.control), yardstick.shown(best.scores)
    return (
        f"{yardstick.words} {before} → {after} over {best.effect.pairs} paired {yardstick.pairs}; the ticks are means"
    )
