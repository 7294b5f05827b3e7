"""The picture of a multistart: the valley that each start ends in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from downslope._errors import PointError
from downslope._numbers import evenly_spread
from downslope._text import number
from downslope.draw import _grid as grid
from downslope.draw import _inputs as inputs
from downslope.draw import _style as style
from downslope.draw._curve import curve
from downslope.draw._landscape import landscape
from downslope.draw._style import picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.ensembles import Multistart

__all__ = ["basins"]

_MOST_STARTS = 6000
_NOTHING = 1e-15  # a bottom so near to 0 is 0 but for rounding
_NAMED = 7  # valleys with a colour of their own


@picture(
    "multistart",
    example=('box = {"x": (-3, 3), "y": (-2, 2)}\nds.draw.basins(ds.multistart("x⁴ - 4x² + x + y²", box))'),
    order=10,
)
def basins(result: Multistart, *, axes: Axes | None = None) -> Axes:
    """Draw the valley in which each start ends: every start in the colour of its valley, a star at each minimum.

    Args:
        result: what `multistart` returned: descents from many starts, of one or two variables.
        axes: where to draw; new ones if None.

    Returns:
        The axes.

    Raises:
        PointError: if there are more variables.
    """
    result = inputs.result_of(result, "basins", inputs.MULTISTART)
    names = result.names
    if len(names) not in (1, 2):
        raise PointError("starts can be drawn for one or two variables")
    axes = inputs.axes_of(axes, lambda: style.new_axes(size=(7.2, 5.2)))
    space = result.space
    seen = np.vstack([result.starts, *([[space.layout.row(basin.point)] for basin in result.basins[:_NAMED]])])
    ends = zip(space.low, space.high, strict=True) if space.bounded else zip(seen.min(0), seen.max(0), strict=True)
    ranges = {name: (float(low), float(high)) for name, (low, high) in zip(names, ends, strict=True)}
    (curve if len(names) == 1 else landscape)(result.objective, bounds=ranges, axes=axes)
    shown = evenly_spread(len(result.starts), _MOST_STARTS)
    for index in [*range(min(len(result.basins), _NAMED + 1)), -1]:
        chosen = shown[result.basin[shown] == index] if index < _NAMED else shown[result.basin[shown] >= _NAMED]
        if len(chosen):
            _starts(axes, result, chosen, index)
    for index, basin in reversed(list(enumerate(result.basins[:_NAMED]))):
        row = space.layout.row(basin.point)
        x, y = (row[0], basin.value) if len(names) == 1 else row
        axes.plot(
            x, y, "*", color=_colour(index), markersize=19, markeredgecolor="white", markeredgewidth=1.4, zorder=7
        )
    axes.set_xlim(*ranges[names[0]])
    style.legend(axes, below=len(names) > 1)
    return axes


def _starts(axes: Axes, result: Multistart, chosen: np.ndarray, index: int) -> None:
    """Draw the starts of one valley."""
    starts = result.starts[chosen]
    if len(result.names) == 1:
        x, y = starts[:, 0], grid.along(result.objective, result.names[0], starts[:, 0], {})
    else:
        x, y = starts.T
    axes.plot(x, y, "o", color=_colour(index), markersize=3.2, alpha=0.55, markeredgewidth=0, zorder=3)
    axes.plot([], [], "o", color=_colour(index), label=_label(result, index))


def _label(result: Multistart, index: int) -> str:
    """Return the legend entry of a valley."""
    if index < 0:
        return f"no end ({result.lost} starts)"
    if index >= _NAMED:
        return f"{len(result.basins) - _NAMED} others"
    basin = result.basins[index]
    value = number(basin.value if abs(basin.value) > _NOTHING else 0.0, 4)
    return f"{basin.kind}, {value} ({100 * basin.share:.3g} %)"


def _colour(index: int) -> str:
    """Return the colour of a valley."""
    if index < 0:
        return style.PROBLEM
    return style.LANES[index] if index < _NAMED else style.RATE
