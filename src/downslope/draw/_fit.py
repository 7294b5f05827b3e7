"""The picture of a fit: data, curve and bands, with the residuals beneath."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from downslope._errors import PointError, nearest
from downslope.draw import _style as style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.fitting import Fit

_POINTS = 400
_ROUNDING = 1e-9  # of the data's range
_MARGIN = 0.03  # of the data's range, beyond which the curve does not go


def fit(found: Fit, *, over: str | None = None, axes: tuple[Axes, Axes] | None = None) -> list[Axes]:
    """Draw a fit.

    A model of one column is drawn over it: the data, the curve, the band in which the curve lies, and the band in which
    the next measurement will. A model of several is drawn as measured against predicted.

    Args:
        found: the fit.
        over: the column along the axis, where there are several; the others stay at their medians.
        axes: one for the data and one for the residuals; new ones if None.

    Returns:
        The two axes.

    Raises:
        PointError: if the model has no such column.
    """
    columns = found.model.equation.right.columns
    if over is not None and over not in columns:
        close = nearest(over, columns)
        raise PointError(
            f"the model has no column {over!r}; it has {', '.join(columns) or 'none'}",
            hint=f"did you mean {close}?" if close else None,
        )
    upper, lower = _new_axes() if axes is None else axes
    along = over or (columns[0] if len(columns) == 1 else None)
    across = found.predicted if along is None else found.data[along]
    if along is None:
        _diagonal(upper, found)
    else:
        _curve(upper, found, along)
    upper.plot(across, found.measured, "o", color=style.START, markersize=4.5, alpha=0.75, zorder=4, label="data")
    _residuals(lower, found, across)
    units = found.model.units
    left = found.model.equation.left.read_as
    upper.set_ylabel(style.label(left, units))
    lower.set_xlabel(style.label(along, units) if along else f"{left}, predicted")
    lower.set_ylabel("residual")
    style.title(upper, found.read_as)
    for panel in (upper, lower):
        style.calm(panel)
    style.legend(upper)
    return [upper, lower]


def _new_axes() -> tuple[Axes, Axes]:
    """Return two axes of a new figure that share what lies along."""
    upper, lower = style.new_panels(2, heights=(3, 1), size=(7.2, 5.6))
    return upper, lower


def _curve(axes: Axes, found: Fit, along: str) -> None:
    """Draw the model along a column, with its two bands."""
    column = found.data[along]
    low, high = float(column.min()), float(column.max())
    margin = _MARGIN * (high - low or abs(high) or 1.0)
    x = np.linspace(low - margin, high + margin, _POINTS)
    if low >= 0 > x[0]:
        x = np.linspace(low, high + margin, _POINTS)  # a logarithm or a root would end there
    others = {name: float(np.median(values)) for name, values in found.data.items()}
    place = {**others, along: x}
    with np.errstate(all="ignore"):
        kinds = ("prediction", "confidence") if np.ptp(found.given.weight) == 0 else ("confidence",)
        bands = {kind: found.predict(place, band=kind) for kind in kinds}
    percent = f"{found.confidence * 100:.4g} %"
    for kind, band in bands.items():
        what, shade = ("next measurement", 0.12) if kind == "prediction" else ("curve", 0.3)
        if np.all(np.isfinite(band.low)):
            axes.fill_between(
                x, band.low, band.high, color=style.PATH, alpha=shade, linewidth=0, label=f"{what}, {percent}", zorder=1
            )
    axes.plot(x, bands["confidence"].value, color=style.PATH, linewidth=2.0, label="fit", zorder=3)


def _diagonal(axes: Axes, found: Fit) -> None:
    """Draw the line on which measured equals predicted."""
    ends = [float(f(np.concatenate([found.predicted, found.measured]))) for f in (np.min, np.max)]
    axes.plot(ends, ends, color=style.PATH, linewidth=1.6, label="measured = predicted", zorder=3)


def _residuals(axes: Axes, found: Fit, across: np.ndarray) -> None:
    """Draw what the model leaves over, with one standard deviation either side."""
    spread = np.sqrt(found.uncertainty.measurement_variance) / found.given.weight[0]
    equal = np.ptp(found.given.weight) == 0
    if np.isfinite(spread) and equal:
        axes.axhspan(-spread, spread, color=style.PATH, alpha=0.12, linewidth=0)
    axes.axhline(0, color=style.PATH, linewidth=1.4)
    axes.vlines(across, 0, found.residuals, color=style.START, linewidth=0.8, alpha=0.6)
    axes.plot(across, found.residuals, "o", color=style.START, markersize=3.5, alpha=0.75)
    nothing = _ROUNDING * float(np.ptp(found.measured))
    if np.max(np.abs(found.residuals)) <= nothing:
        axes.set_ylim(-1, 1)  # what is but rounding lies on the line
