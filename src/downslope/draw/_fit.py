"""The picture of a fit: data, curve and bands, with the residuals beneath; of a fit by groups, a panel for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import numpy as np

from downslope._errors import SettingError
from downslope.draw import _fit_parts as parts
from downslope.draw import _inputs as inputs
from downslope.draw import _look as looks
from downslope.draw import _style as style
from downslope.draw._column_axis import ColumnAxis, axes_in_logarithms, column_axis, is_spread_in_decades, mark_decades
from downslope.draw._fit_groups import groups
from downslope.draw._fit_heights import Height, left_side
from downslope.draw._style import picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.fitting import Fit, GroupedFit

__all__ = ["fit"]

_ROUNDING = 1e-9  # of the data's range
_MOST_STEMS = 300
_LONG = 24  # letters


@picture(
    "fit",
    example=('equation = "temperature = room + excess e^(-k minutes)"\nds.draw.fit(ds.fit(equation, "coffee.csv"))'),
    order=10,
)
def fit(
    result: Fit | GroupedFit,
    *,
    over: str | None = None,
    log: str | None = None,
    own_scale: bool | str = False,
    statistics: bool = True,
    axes: tuple[Axes, Axes] | None = None,
    **look: Unpack[looks.FigureLook],
) -> list[Axes]:
    """Draw a fit.

    A model of one column is drawn over it: the data, the curve, the band in which the curve lies, and the band in which
    the next measurement will. A model of several is drawn as measured against predicted. Where σ is known the data have
    error bars, and the residuals are divided by σ. More than 5000 rows are counted in cells. A fit by groups is drawn
    by `groups`.

    Args:
        result: what `fit` returned.
        over: the column along the axis, where there are several; the others stay at their medians.
        log: the logarithmic axes: "x", "y", "xy" or "none". If None, the x-axis is logarithmic where the logarithms of
            its values are evenly spaced over two decades or more, and the y-axis where that holds of both. 0 is set
            apart on it.
        own_scale: True to draw a left side such as log(pressure) as pressure, and one of several columns as the first;
            or the name of one. Where the others differ by row there is no curve, and the fit is drawn row by row.
        statistics: False to leave parameters and quality out.
        axes: one for the data and one for the residuals; new ones if None.
        **look: `size` in inches, `dpi`, `grid`, `grey`, and `labels` by "x", "y", "residual" and "title".

    Returns:
        The two axes.

    Raises:
        PointError: if the model has no such column.
        SettingError: for a logarithmic axis of values below 0, or a look that makes no sense.
    """
    result = inputs.result_of(result, "fit", inputs.FIT)
    logs = axes_in_logarithms(log)
    if result.group_labels:
        if axes is not None:
            raise SettingError("a fit by groups draws a panel per group on its own figure; leave axes out")
        return groups(result, over=over, log=log, own_scale=own_scale, statistics=statistics, **look)
    looks.checked(look, ("x", "y", "residual", "title"), own_figure=axes is None)
    along = parts.column_along(result, over)
    upper, lower = inputs.panels_of(axes, 2, looks.stacked(look, (3, 1), (7.2, 5.6)))
    left = left_side(result, own_scale)
    across, measured = result.predicted if along is None else result.data[along], left.measured(result)
    axis = column_axis(along or "the prediction", across if along else left.heights(across, result.data), logs[0])
    _show_scales(upper, axis, measured, logs[1])
    x = axis.at(across if along else left.heights(across, result.data))
    if along is None:
        _diagonal(upper, np.concatenate([x, measured]))
    else:
        parts.draw_curve(upper, result, along, axis, left)
    parts.draw_data(upper, x, measured, None if len(x) > parts.MOST_MARKS else left.bars(result))
    far = parts.far_rows(result)
    parts.mark_far(upper, x, measured, far, result.row_numbers)
    if along is not None:
        parts.left_out(upper, result, along, axis, left)
    _residuals(lower, result, x, far)
    axis.mark_break(lower)
    _label(upper, lower, result, along, left, look)
    looks.formula_title(upper, result.model.equation.latex, result.read_as, look)
    parts.legend(upper, [*parts.parameter_lines(result), *_quality(result)] if statistics else [])
    looks.finish([upper, lower], look)
    if axes is None:
        parts.keep_legend_clear(upper, may_grow="size" not in look)
    return [upper, lower]


def _show_scales(axes: Axes, axis: ColumnAxis, heights: np.ndarray, wanted: bool | None) -> None:
    """Give axes the scale of the column, and a logarithmic height where that is wanted or the data are so spread."""
    if wanted or (wanted is None and axis.is_log and np.min(heights) > 0 and is_spread_in_decades(heights)):
        up = column_axis("the left side", heights, True)
        axes.set_yscale("log")
        beyond = (up.high / up.low) ** 0.06 * 1.1
        axes.set_ylim(up.low / beyond, up.high * beyond)
        mark_decades(axes.yaxis)
    axis.show(axes)


def _diagonal(axes: Axes, values: np.ndarray) -> None:
    """Draw the line on which measured equals predicted."""
    ends = [float(np.min(values)), float(np.max(values))]
    axes.plot(ends, ends, color=style.PATH, linewidth=1.6, label="measured = predicted", zorder=3)


def _residuals(axes: Axes, result: Fit | GroupedFit, x: np.ndarray, far: np.ndarray) -> None:
    """Draw what the model leaves over: over σ with lines at ±1 and ±2, or in its unit with one standard deviation."""
    sigma = result.deviations
    residuals = result.residuals if sigma is None else result.residuals / sigma
    if sigma is not None:
        parts.draw_deviations(axes, with_band=len(x) <= parts.MOST_MARKS)
    else:
        spread = result.measurement_deviation
        if np.isfinite(spread) and len(x) > parts.MOST_MARKS:
            for height in (-spread, spread):
                axes.axhline(height, color=style.PATH, linewidth=0.9, linestyle=(0, (6, 3)))
        elif np.isfinite(spread):
            axes.axhspan(-spread, spread, color=style.PATH, alpha=0.12, linewidth=0)
    axes.axhline(0, color=style.PATH, linewidth=1.4)
    if len(x) > parts.MOST_MARKS:
        parts.density(axes, x, residuals)
        return
    if len(x) <= _MOST_STEMS:
        axes.vlines(x, 0, residuals, color=style.START, linewidth=0.8, alpha=0.6)
    axes.plot(x, residuals, "o", color=style.START, markersize=3.5 if len(x) <= _MOST_STEMS else 2, alpha=0.75)
    parts.mark_far(axes, x, residuals, far, x, named=False)
    reach = float(np.max(np.abs(residuals)))
    if sigma is not None:
        axes.set_ylim(-max(2.4, 1.15 * reach), max(2.4, 1.15 * reach))
    elif reach <= _ROUNDING * float(np.ptp(result.measured)):
        axes.set_ylim(-1, 1)  # what is but rounding lies on the line


def _label(
    upper: Axes, lower: Axes, result: Fit | GroupedFit, along: str | None, left: Height, look: looks.FigureLook
) -> None:
    """Name the axes, with their units."""
    units, read_as = result.model.units, result.model.equation.left.read_as
    unit = f" ({units[read_as]})" if units.get(read_as) else ""
    residual = f"residual{unit}" if result.deviations is None else "residual / σ"
    if left.scale is not None:  # a long name takes a second line: the panel is low
        residual += f"{' ' if len(residual + read_as) < _LONG else chr(10)}of {read_as}"
    usual = parts.column_label(result, along) if along else f"{left.name}, predicted"
    upper.set_ylabel(looks.label(look, "y", style.label(left.name, units)))
    lower.set_xlabel(looks.label(look, "x", usual))
    lower.set_ylabel(looks.label(look, "residual", residual))


def _quality(result: Fit | GroupedFit) -> list[str]:
    """Return how good the fit is, and why a band is missing, as lines."""
    lines = [parts.quality_line(result)]
    if np.ptp(result.arguments.weight) != 0:
        what = "number of trials" if result.loss == "binomial" else "σ"
        lines.append(f"no band of the next measurement: {what} not known")
    return lines
