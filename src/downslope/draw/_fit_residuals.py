"""The picture of a fit's residuals: by row, over the prediction, and against a normal distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import numpy as np

from downslope.draw import _fit_parts as parts
from downslope.draw import _inputs as inputs
from downslope.draw import _look as looks
from downslope.draw import _style as style
from downslope.draw._style import picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from downslope.fitting import Fit, GroupedFit

__all__ = ["residuals"]

_MOST_QUANTILES = 2000
_BLOM = 0.375  # the expected place of the i-th of n normal values is that of (i − 3/8)/(n + 1/4) (Blom, 1958)


@picture("fit", example='ds.draw.residuals(ds.fit("temperature = a + b e^(-k minutes)", "coffee.csv"))', order=12)
def residuals(
    result: Fit | GroupedFit, *, axes: Sequence[Axes] | None = None, **look: Unpack[looks.FigureLook]
) -> list[Axes]:
    """Draw the residuals of a fit over their standard deviations, in three panels.

    In the order of the rows, a drift shows; over the prediction, a curve that misses the data's shape or a spread that
    grows; against the quantiles of a normal distribution, heavy tails. Lines stand at ±1 and ±2.

    Args:
        result: what `fit` returned.
        axes: three axes; new ones if None.
        **look: as in `fit`; `labels` by "y" and "title".

    Returns:
        The three axes.
    """
    result = inputs.result_of(result, "residuals", inputs.FIT)
    looks.checked(look, ("y", "title"), own_figure=axes is None)
    panels = inputs.panels_of(
        axes, 3, lambda: list(looks.new_figure(look, (9.6, 3.6)).subplots(1, 3, sharey=True, squeeze=True))
    )
    heights = _standardised(result)
    numbers = np.asarray(result.row_numbers)
    known = np.isfinite(heights)
    far = np.abs(np.where(known, heights, 0.0)) > parts.FAR
    many = len(heights) > parts.MOST_MARKS
    for panel, x in zip(panels, (numbers.astype(float), result.predicted), strict=False):
        parts.draw_deviations(panel, with_band=not many)
        panel.axhline(0, color=style.PATH, linewidth=1.4)
        if many:
            parts.density(panel, x, heights)
            continue
        panel.plot(x, heights, "o", color=style.START, markersize=4 if len(x) <= 300 else 2.5, alpha=0.75, zorder=4)
        parts.mark_far(panel, x, heights, far, numbers)
    _normal(panels[2], heights[known])
    left = result.model.equation.left.read_as
    names = ("row", style.label(f"{left}, predicted", {}), "quantile of a normal distribution")
    for panel, name in zip(panels, names, strict=True):
        panel.set_xlabel(name)
    panels[0].set_ylabel(looks.label(look, "y", "standardised residual"))
    looks.formula_title(panels[0], result.model.equation.latex, result.read_as, look)
    if far.any() or many:
        parts.legend(panels[0], [])
    reach = 1.12 * max(float(np.max(np.abs(heights[known]), initial=0.0)), 2.2)
    panels[0].set_ylim(-reach, reach)
    looks.finish(panels, look)
    if axes is None:
        parts.keep_legend_clear(panels[0], may_grow="size" not in look)
    return panels


def _standardised(result: Fit | GroupedFit) -> np.ndarray:
    """Return the residuals over their standard deviations, shape (rows,); of many rows without their leverage."""
    is_short = len(result.measured) <= parts.MOST_MARKS
    return result.standardised_residuals if is_short else result.scaled_residuals


def _normal(axes: Axes, heights: np.ndarray) -> None:
    """Draw ordered values over those expected of a normal distribution, with the line on which they are equal."""
    from scipy.special import ndtri

    ordered = np.sort(heights)
    expected = ndtri((np.arange(1, len(ordered) + 1) - _BLOM) / (len(ordered) + 1 - 2 * _BLOM))
    # Both ends in full, where the tails are.
    share = np.sin(np.linspace(0, np.pi / 2, _MOST_QUANTILES)) ** 2
    kept = np.unique((share * (len(ordered) - 1)).round().astype(int)) if len(ordered) else np.zeros(0, dtype=int)
    axes.plot(expected[[0, -1]], expected[[0, -1]], color=style.PATH, linewidth=1.4) if len(ordered) else None
    axes.plot(expected[kept], ordered[kept], "o", color=style.START, markersize=4, alpha=0.75, zorder=4)
