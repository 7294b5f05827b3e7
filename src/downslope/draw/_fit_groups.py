"""The picture of a fit by groups: a small panel for each, on common scales."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from downslope._errors import SettingError, described
from downslope.draw import _fit_parts as parts
from downslope.draw import _inputs as inputs
from downslope.draw import _look as looks
from downslope.draw import _style as style
from downslope.draw._column_axis import axes_in_logarithms, column_axis, is_spread_in_decades, mark_decades
from downslope.draw._fit_heights import Height, left_side
from downslope.draw._style import picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.fitting import Fit, GroupedFit

__all__ = ["groups"]

_ACROSS = 4  # panels side by side
_WIDE = 5.0  # inches that four names of marks take
_MOST_LINES = 3  # parameters that a panel has room for


@picture(
    "fit",
    example="""
        enzyme = {
            "conc": [0.02, 0.06, 0.11, 0.22, 0.56, 1.1] * 2,
            "rate": [76, 97, 123, 159, 191, 207, 67, 84, 98, 131, 144, 160],
            "state": ["treated"] * 6 + ["untreated"] * 6,
        }
        by_state = ds.fit("rate = Vm × conc/(K + conc)", enzyme, by="state", shared="K")
        ds.draw.groups(by_state)
    """,
    order=11,
)
def groups(
    result: Fit | GroupedFit,
    *,
    over: str | None = None,
    log: str | None = None,
    own_scale: bool | str = False,
    statistics: bool = True,
    most: int = 12,
    **look: Unpack[looks.FigureLook],
) -> list[Axes]:
    """Draw a fit by groups: for each group its data, curve and band, on common scales.

    Args:
        result: what `fit` with `by` returned.
        over: the column along the axis, where there are several; the others stay at the medians of the group.
        log: the logarithmic axes, as in `fit`.
        own_scale: True to draw a left side such as log(pressure) as pressure; or a column of it, as in `fit`.
        statistics: False to leave parameters and quality out.
        most: how many groups are drawn, the first ones; the title says how many there are.
        **look: as in `fit`; `labels` by "x", "y" and "title".

    Returns:
        The axes, one for each group.

    Raises:
        SettingError: for a fit without groups, or of several columns without `over`.
    """
    result = inputs.result_of(result, "groups", inputs.FIT)
    logs = axes_in_logarithms(log)
    looks.checked(look, ("x", "y", "title"))
    if not result.group_labels:
        raise SettingError("this fit has no groups", hint='ds.draw.fit draws it; ds.fit(…, by="state") fits by groups')
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise SettingError(f"most is a number of groups, not {described(most)}")
    along = parts.column_along(result, over)
    if along is None:
        columns = ", ".join(result.model.right_columns)
        raise SettingError(f"the model has several columns: {columns}", hint="over names the one along the axis")
    labels = result.group_labels[:most]
    panels = _panels(len(labels), look)
    left, index = left_side(result, own_scale), result.group_rows
    measured = left.measured(result)
    axis = column_axis(along, result.data[along], logs[0])
    x, far = axis.at(result.data[along]), parts.far_rows(result)
    spread = axis.is_log and np.min(measured) > 0 and is_spread_in_decades(measured)
    for number_of_group, (label, panel) in enumerate(zip(labels, panels, strict=True)):
        axis.show(panel)
        if logs[1] or (logs[1] is None and spread):
            panel.set_yscale("log")
        inside = index == number_of_group
        parts.draw_curve(panel, result, along, axis, left, label)
        bars = None if np.count_nonzero(inside) > parts.MOST_MARKS else left.bars(result, inside)
        parts.draw_data(panel, x[inside], measured[inside], bars)
        parts.mark_far(panel, x, measured, far & inside, result.row_numbers)
        parts.left_out(panel, result, along, axis, left, label)
        panel.set_title(f"{', '.join(_by(result))} = {label}".replace("$", r"\$"), fontsize=9.5, color=style.INK)
    if panels[0].get_yscale() == "log":
        panels[0].set_ylim(float(measured.min()) / 1.5, float(measured.max()) * 1.5)
        mark_decades(panels[0].yaxis)
    _name(panels, result, along, left, look, statistics)
    if statistics:
        for label, panel in zip(labels, panels, strict=True):
            own = [name for name in result.parameters if name.endswith(f"[{label}]")]
            parts.legend(panel, parts.parameter_lines(result, own[:_MOST_LINES], short=True), names=False)
    _legend(panels, looks.label(look, "x", parts.column_label(result, along)))
    looks.finish(panels, look)
    _keep_clear(panels)
    return panels


def _legend(panels: list[Axes], x_name: str) -> None:
    """Write the name of the axis below all panels, and below it once what their marks mean.

    A label of the figure would stand where its legend stands: no layout keeps the two apart.
    """
    marks: dict[str, Any] = {}
    for panel in panels:
        for handle, name in zip(*panel.get_legend_handles_labels(), strict=True):
            marks.setdefault(name.partition(":")[0], handle)  # what follows names rows, which differ by panel
    marks.pop("left out", None)  # which the heading explains
    figure: Any = panels[0].figure
    across = min(len(marks), 2 if figure.get_size_inches()[0] < _WIDE else 4)
    box: dict[str, Any] = {"loc": "outside lower center", "ncols": across, "frameon": False, "fontsize": 8.5}
    legend = figure.legend([*marks.values()], [*marks], title=x_name, title_fontsize=10, borderpad=0, **box)
    legend.get_title().set_color(style.INK)


def _keep_clear(panels: list[Axes]) -> None:
    """Write the parameters that hide data above their panel."""
    parts.lay_out(panels[0].figure)
    for panel in panels:
        legend = panel.get_legend()
        if legend is not None and parts.covers_data(panel):
            lines = legend.get_title().get_text().split("\n")
            legend.remove()
            panel.set_title("\n".join([panel.get_title(), *lines]), fontsize=panel.title.get_fontsize())


def _by(result: Any) -> tuple[str, ...]:
    """Return the columns that tell groups apart."""
    return result.groups.by if result.model.grouping is None else result.model.grouping.by


def _panels(count: int, look: looks.FigureLook) -> list[Axes]:
    """Return axes of a new figure, in rows, on common scales."""
    across = min(count, _ACROSS if count > _ACROSS else count)
    across = 3 if count in (5, 6, 9) else across
    down = math.ceil(count / across)
    size = ((3.4 if across <= 2 else 2.7) * across + 0.6, (2.8 if down == 1 else 2.2) * down + 0.9)
    figure = looks.new_figure(look, size)
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    panels = list(grid.flat)
    for empty in panels[count:]:
        empty.remove()
    for panel in panels[max(count - across, 0) : count]:
        panel.tick_params(labelbottom=True)
    return panels[:count]


def _name(
    panels: list[Axes],
    result: Fit | GroupedFit,
    along: str,
    left: Height,
    look: looks.FigureLook,
    statistics: bool,
) -> None:
    """Write the formula above the figure, what all groups share below it, and the axes' names once."""
    figure: Any = panels[0].figure
    units = result.model.units
    figure.supylabel(looks.label(look, "y", style.label(left.name, units)), fontsize=10, color=style.INK)
    shared = [name for name in result.parameters if "[" not in name]
    lines = [parts.quality_line(result)] if statistics else []
    if statistics and shared:
        lines.insert(0, ", ".join(parts.parameter_lines(result, shared)) + " in all groups")
    if len(result.aside_groups):
        lines.append("hollow: rows that were left out")
    if len(result.group_labels) > len(panels):
        lines.append(f"the first {len(panels)} of {len(result.group_labels)} groups")
    width = figure.get_size_inches()[0] * 68
    latex = result.model.equation.latex
    heading, points = looks.formula_text(latex, result.read_as, look, width, tall=False)
    figure.suptitle(
        "\n".join(filter(None, [heading, *lines])), fontsize=min(points, 11), color=style.INK, linespacing=1.5
    )
