"""Pictures of likelihoods: the profile of one parameter, and the joint region of two."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from downslope._errors import SettingError
from downslope._text import number
from downslope.draw import _inputs as inputs
from downslope.draw import _look as looks
from downslope.draw import _style as style
from downslope.draw._style import picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.fitting import ConfidenceRegion, Fit

__all__ = ["profile", "region"]

_SIZE = (6.0, 4.4)
_BEYOND = 1.5  # of the range of the ellipse, which a picture shows of a region at most
_CORNERS = ([0, 0], [1, 0], [1, 1], [0, 1])  # of a picture, to the left of its middle: lower left, lower right, …
_MARGIN = 0.08  # of a region's range
_DEMAND = """
    demand = ds.fit(
        "demand = A (1 - e^(-k day))", {"day": [1, 2, 3, 4, 5, 7], "demand": [8.3, 10.3, 19, 16, 15.6, 19.8]}
    )
"""


@picture("fit", example=f"{_DEMAND}    ds.draw.profile(demand, 'k')", order=20)
def profile(
    result: Fit,
    name: str | None = None,
    *,
    level: float = 0.95,
    axes: Axes | None = None,
    **look: Unpack[looks.FigureLook],
) -> Axes:
    """Draw the profile of a parameter: ζ over its values, beside the straight line of the linear interval.

    ζ is the signed root of the rise of the squares over s², while the other parameters follow. Where it is straight,
    value ± t·error is right; the ends of the interval are where it crosses ±t.

    Args:
        result: what `fit` returned.
        name: a free parameter; if None, the first whose linear interval misleads, or the first.
        level: the level of the interval.
        axes: where to draw; new ones if None.
        **look: as in `fit`; `labels` by "x", "y" and "title".

    Returns:
        The axes.

    Raises:
        SettingError: where there is no profile: of a robust loss, or of a name that is no free parameter.
    """
    result = inputs.result_of(result, "profile", inputs.WHOLE_FIT)
    looks.checked(look, ("x", "y", "title"), own_figure=axes is None)
    if name is None and not result.free:
        raise SettingError("this fit has no free parameter, so there is no profile")
    shown = result.profile(name or (*result.curved, *result.free)[0], level)
    axes = inputs.axes_of(axes, lambda: looks.new_figure(look, _SIZE).subplots())
    finite = [end for end in shown.interval if np.isfinite(end)]
    axes.axvspan(*(_within(end, shown.values) for end in shown.interval), color=style.PATH, alpha=0.1, linewidth=0)
    axes.axhline(0, color=style.ZERO, linewidth=0.9)
    for sign in (-1, 1):
        axes.axhline(sign * shown.quantile, color=style.ZERO, linewidth=0.9, linestyle=(0, (1.5, 2)))
    half = shown.quantile * shown.standard_error
    ends = _ends_in_words(shown.best - half, shown.best + half)
    axes.plot(
        shown.values,
        shown.linear,
        color=style.START,
        linewidth=1.4,
        linestyle=(0, (6, 3)),
        label=f"linear, {level * 100:.4g} %: {ends}",
    )
    ends = _ends_in_words(*shown.interval)
    axes.plot(shown.values, shown.zeta, color=style.PATH, linewidth=2, label=f"profile, {level * 100:.4g} %: {ends}")
    crossings = np.interp(finite, shown.values, shown.zeta)
    axes.plot(finite, crossings, "o", color=style.PATH, markersize=6, markeredgecolor="white")
    axes.plot([shown.best], [0], **style.END_MARKS["end"], label=f"{shown.name} = {number(shown.best, 4)}")
    reach = 1.35 * shown.quantile
    axes.set_ylim(-reach, reach)
    axes.set_xlabel(looks.label(look, "x", _label(result, shown.name)))
    axes.set_ylabel(looks.label(look, "y", "ζ, signed root of the rise of χ²"))
    looks.formula_title(axes, result.model.equation.latex, result.read_as, look)
    axes.legend(frameon=True, framealpha=0.88, edgecolor="none", fontsize=8.5, loc="upper left")
    looks.finish([axes], look)
    return axes


@picture("fit", example=f"{_DEMAND}    ds.draw.region(demand, 'A', 'k')", order=21)
def region(
    result: Fit,
    first: str | None = None,
    second: str | None = None,
    *,
    level: float = 0.95,
    axes: Axes | None = None,
    **look: Unpack[looks.FigureLook],
) -> Axes:
    """Draw the joint confidence region of two parameters, beside the ellipse of the linear approximation.

    A region that the data leave open, or that goes on much farther than its ellipse, is cut at the edge of the picture,
    and the legend says so.

    Args:
        result: what `fit` returned.
        first: a free parameter, along the x-axis.
        second: another one. If both are None, the two that are most strongly correlated.
        level: the level at which both lie inside.
        axes: where to draw; new ones if None.
        **look: as in `fit`; `labels` by "x", "y" and "title".

    Returns:
        The axes.

    Raises:
        SettingError: where there is no region: of a robust loss, of one parameter, or of one without an error.
    """
    result = inputs.result_of(result, "region", inputs.WHOLE_FIT)
    looks.checked(look, ("x", "y", "title"), own_figure=axes is None)
    pair = _pair(result, first, second)
    border = result.confidence_region(*pair, level, points=96)
    axes = inputs.axes_of(axes, lambda: looks.new_figure(look, _SIZE).subplots())
    shown = _shown_ranges(border)
    for (low, high), limit in zip(shown, (axes.set_xlim, axes.set_ylim), strict=True):
        limit(low, high)
    name = f"profile, {level * 100:.4g} %" + _in_words(border, shown)
    if border.is_all:
        axes.fill(*border.points.T, color=style.PATH, alpha=0.14, linewidth=0)
        axes.plot(*border.points.T, color=style.PATH, linewidth=2, label=name)
    else:
        # A region ends where a parameter is at its bound.
        low, high = (side[[result.free.index(name) for name in pair]] for side in result.bounds)
        box = np.clip(shown, low[:, None], high[:, None])
        arcs = result.region_arcs(border, box)
        for outline in _closed(arcs, box):
            axes.fill(*outline.T, color=style.PATH, alpha=0.14, linewidth=0)
        parts = [part for arc in arcs for part in (arc, [[np.nan, np.nan]])]
        axes.plot(*np.concatenate(parts or [np.full((1, 2), np.nan)]).T, color=style.PATH, linewidth=2, label=name)
    linear: dict[str, Any] = {"color": style.START, "linewidth": 1.4, "linestyle": (0, (6, 3))}
    axes.plot(*border.linear.T, label=f"linear, {level * 100:.4g} %", **linear)
    best = [result[name] for name in pair]
    axes.plot(best[:1], best[1:], **style.END_MARKS["end"], label="fit")
    style.zero_lines(axes)
    axes.set_xlabel(looks.label(look, "x", _label(result, pair[0])))
    axes.set_ylabel(looks.label(look, "y", _label(result, pair[1])))
    looks.formula_title(axes, result.model.equation.latex, result.read_as, look)
    axes.legend(frameon=True, framealpha=0.88, edgecolor="none", fontsize=8.5, loc="best")
    looks.finish([axes], look)
    return axes


def _shown_ranges(border: ConfidenceRegion) -> list[tuple[float, float]]:
    """Return the ranges that hold a region and its ellipse, cut where the region goes on much farther."""
    ranges = []
    for ends, values in zip(border.extent, border.linear.T, strict=True):
        low, high = float(values.min()), float(values.max())
        far = _BEYOND * (high - low)
        lowest, highest = min(max(ends.low, low - far), low), max(min(ends.high, high + far), high)
        # The border is cut by the frame where it goes on, and has room around it where it does not.
        margin = _MARGIN * (highest - lowest)
        ranges.append((lowest - margin * (ends.low >= lowest), highest + margin * (ends.high <= highest)))
    return ranges


def _closed(arcs: list[np.ndarray], box: np.ndarray) -> list[np.ndarray]:
    """Return the outlines of a region from its border in pieces, closed along the edges of a picture.

    The region lies at the left of its border, and so does the picture of its edges when they are followed to the left:
    where a piece leaves the picture, the outline goes on along the edges to the next piece that enters it.

    Args:
        arcs: pieces of the border, each with the region at its left, shape (points, 2).
        box: lowest and highest value of each coordinate, shape (2, 2).
    """
    low, high = box.T
    leaves = [bool(np.all(np.any((arc[[0, -1]] < low) | (arc[[0, -1]] > high), axis=1))) for arc in arcs]
    outlines = [arc for arc, is_open in zip(arcs, leaves, strict=True) if not is_open]
    waiting = [arc for arc, is_open in zip(arcs, leaves, strict=True) if is_open]
    while waiting:
        outline = [waiting.pop(0)]
        while True:
            end = _around(outline[-1][-1], box)
            following = [outline[0], *waiting]
            ways = [(_around(arc[0], box) - end) % 4 for arc in following]
            nearest = int(np.argmin(ways))
            corners = np.arange(math.floor(end) + 1, math.floor(end + ways[nearest]) + 1)
            outline.append(np.array([box[[0, 1], _CORNERS[int(corner) % 4]] for corner in corners]).reshape(-1, 2))
            if nearest == 0:
                break
            outline.append(waiting.pop(nearest - 1))
        outlines.append(np.concatenate(outline))
    return outlines


def _around(point: np.ndarray, box: np.ndarray) -> float:
    """Return how far a point is along the edges of a picture, from 0 at the lower left over the lower right to 4."""
    x, y = np.clip((point - box[:, 0]) / (box[:, 1] - box[:, 0]), 0.0, 1.0)
    distances = (y, 1 - x, 1 - y, x)  # from the lower, right, upper and left edge
    edge = int(np.argmin(distances))
    return edge + min(float((x, y, 1 - x, 1 - y)[edge]), 1 - 1e-12)


def _in_words(border: ConfidenceRegion, shown: list[tuple[float, float]]) -> str:
    """Return whether a region has no end, or goes on beyond a picture, as the rest of its name."""
    ends = np.array(border.extent)
    if not np.all(np.isfinite(ends)):
        return ", open at the edge"
    low, high = np.array(shown).T
    return ", continues beyond the edge" if np.any((ends[:, 0] < low) | (ends[:, 1] > high)) else ""


def _within(end: float, values: np.ndarray) -> float:
    """Return an end, or that of the values drawn where it is open."""
    return float(np.clip(end, values[0], values[-1]))


def _ends_in_words(low: float, high: float) -> str:
    return f"{number(low, 3)} … {number(high, 3)}"


def _label(result: Fit, name: str) -> str:
    """Return the name of a parameter with its unit."""
    unit = result.parameters[name].unit if name in result.parameters else None
    return style.label(name, {name: unit} if unit else {})


def _pair(result: Fit, first: str | None, second: str | None) -> tuple[str, str]:
    """Return two parameters: those named, completed by the one that is most strongly correlated.

    Raises:
        SettingError: if there is only one free parameter.
    """
    if first is not None and second is not None:
        return first, second
    if len(result.free) < 2:
        raise SettingError(f"a region needs two free parameters, but only {', '.join(result.free) or 'none'} is free")
    strength = np.abs(np.nan_to_num(result.correlation)) - 2 * np.eye(len(result.free))
    named = first if first is not None else second
    if named is None:
        row, column = sorted(divmod(int(np.argmax(strength)), len(result.free)))
        return result.free[row], result.free[column]
    if named not in result.free:
        return named, result.free[0]  # which the fit refuses in words
    other = result.free[int(np.argmax(strength[result.free.index(named)]))]
    return (named, other) if first is not None else (other, named)
