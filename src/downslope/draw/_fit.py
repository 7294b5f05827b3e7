"""The picture of a fit: data, curve and bands, with the residuals beneath."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from downslope._errors import PointError, nearest
from downslope.draw import _inputs as inputs
from downslope.draw import _style as style
from downslope.draw._style import picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.fitting import Fit

__all__ = ["fit"]

_ROUNDING = 1e-9  # of the data's range


@picture(
    "fit",
    example=('equation = "temperature = room + excess e^(-k minutes)"\nds.draw.fit(ds.fit(equation, "coffee.csv"))'),
    order=10,
)
def fit(result: Fit, *, over: str | None = None, axes: tuple[Axes, Axes] | None = None) -> list[Axes]:
    """Draw a fit.

    A model of one column is drawn over it: the data, the curve, the band in which the curve lies, and the band in which
    the next measurement will. A model of several is drawn as measured against predicted.

    Args:
        result: what `fit` returned.
        over: the column along the axis, where there are several; the others stay at their medians.
        axes: one for the data and one for the residuals; new ones if None.

    Returns:
        The two axes.

    Raises:
        PointError: if the model has no such column.
    """
    result = inputs.result_of(result, "fit", inputs.FIT)
    columns = result.model.equation.right.columns
    if over is not None and over not in columns:
        close = nearest(str(over), columns)
        raise PointError(
            f"the model has no column {over!r}; it has {', '.join(columns) or 'none'}",
            hint=f"did you mean {close}?" if close else None,
        )
    along = over or result.along
    upper, lower = inputs.panels_of(axes, 2, lambda: style.new_panels(2, heights=(3, 1), size=(7.2, 5.6)))
    across = result.predicted if along is None else result.data[along]
    if along is None:
        _diagonal(upper, result)
    else:
        _curve(upper, result, along)
    upper.plot(across, result.measured, "o", color=style.START, markersize=4.5, alpha=0.75, zorder=4, label="data")
    _residuals(lower, result, across)
    units = result.model.units
    left = result.model.equation.left.read_as
    upper.set_ylabel(style.label(left, units))
    lower.set_xlabel(style.label(along, units) if along else f"{left}, predicted")
    lower.set_ylabel("residual")
    style.title(upper, result.read_as)
    for panel in (upper, lower):
        style.calm(panel)
    style.legend(upper)
    return [upper, lower]


def _curve(axes: Axes, result: Fit, along: str) -> None:
    """Draw the model along a column, with its two bands."""
    columns = result.columns_along(along)
    x = columns[along]
    for what, low, high in result.bands(columns):
        shade = 0.3 if what.startswith("curve") else 0.12
        axes.fill_between(x, low, high, color=style.PATH, alpha=shade, linewidth=0, label=what, zorder=1)
    with np.errstate(all="ignore"):
        curve = result.model.predicted(result.values, columns)
    axes.plot(x, curve, color=style.PATH, linewidth=2.0, label="fit", zorder=3)


def _diagonal(axes: Axes, result: Fit) -> None:
    """Draw the line on which measured equals predicted."""
    ends = [float(f(np.concatenate([result.predicted, result.measured]))) for f in (np.min, np.max)]
    axes.plot(ends, ends, color=style.PATH, linewidth=1.6, label="measured = predicted", zorder=3)


def _residuals(axes: Axes, result: Fit, across: np.ndarray) -> None:
    """Draw what the model leaves over, with one standard deviation either side."""
    spread = np.sqrt(result.uncertainty.measurement_variance) / result.arguments.weight[0]
    equal = np.ptp(result.arguments.weight) == 0
    if np.isfinite(spread) and equal:
        axes.axhspan(-spread, spread, color=style.PATH, alpha=0.12, linewidth=0)
    axes.axhline(0, color=style.PATH, linewidth=1.4)
    axes.vlines(across, 0, result.residuals, color=style.START, linewidth=0.8, alpha=0.6)
    axes.plot(across, result.residuals, "o", color=style.START, markersize=3.5, alpha=0.75)
    nothing = _ROUNDING * float(np.ptp(result.measured))
    if np.max(np.abs(result.residuals)) <= nothing:
        axes.set_ylim(-1, 1)  # what is but rounding lies on the line
