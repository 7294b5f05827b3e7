"""Pictures of what a fit's likelihood says of parameters: the profile of one, and the joint region of two."""

from __future__ import annotations

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

    from downslope.fitting import Fit

__all__ = ["profile", "region"]

_SIZE = (6.0, 4.4)
_BEYOND = 1.5  # of the range of the ellipse, which a picture shows of a region at most
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
    whole = bool(np.all(np.isfinite(border.points)))
    inner = border.points[np.all(np.isfinite(border.points), axis=1)]
    percent = f"{level * 100:.4g} %"
    if whole:
        axes.fill(*border.points.T, color=style.PATH, alpha=0.14, linewidth=0)
    # A region may be open, or go on so far that nothing else would be seen.
    reach = [(low - _BEYOND * (high - low), high + _BEYOND * (high - low)) for low, high in _spans(border.linear)]
    ends = np.array(reach).T
    is_cut = whole and bool(np.any((inner < ends[0]) | (inner > ends[1])))
    more = ", goes on beyond the picture" if is_cut else "" if whole else ", open where it has no border"
    label = f"profile, {percent}{more}"
    shown = np.where(np.isfinite(border.points), border.points, np.nan)
    axes.plot(*shown.T, color=style.PATH, linewidth=2, label=label)
    linear: dict[str, Any] = {"color": style.START, "linewidth": 1.4, "linestyle": (0, (6, 3))}
    axes.plot(*border.linear.T, label=f"linear, {percent}", **linear)
    best = [result[name] for name in pair]
    axes.plot(best[:1], best[1:], **style.END_MARKS["end"], label="fit")
    everything = np.concatenate([np.clip(inner, *ends), border.linear])
    for values, limit in zip(everything.T, (axes.set_xlim, axes.set_ylim), strict=True):
        margin = _MARGIN * float(np.ptp(values))
        limit(float(values.min()) - margin, float(values.max()) + margin)
    style.zero_lines(axes)
    axes.set_xlabel(looks.label(look, "x", _label(result, pair[0])))
    axes.set_ylabel(looks.label(look, "y", _label(result, pair[1])))
    looks.formula_title(axes, result.model.equation.latex, result.read_as, look)
    axes.legend(frameon=True, framealpha=0.88, edgecolor="none", fontsize=8.5, loc="best")
    looks.finish([axes], look)
    return axes


def _spans(points: np.ndarray) -> list[tuple[float, float]]:
    """Return the lowest and the highest value of each coordinate."""
    return [(float(values.min()), float(values.max())) for values in points.T]


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
        raise SettingError(f"a region is of two parameters, but only {', '.join(result.free) or 'none'} is free")
    strength = np.abs(np.nan_to_num(result.correlation)) - 2 * np.eye(len(result.free))
    named = first if first is not None else second
    if named is None:
        row, column = sorted(divmod(int(np.argmax(strength)), len(result.free)))
        return result.free[row], result.free[column]
    if named not in result.free:
        return named, result.free[0]  # which the fit refuses in words
    other = result.free[int(np.argmax(strength[result.free.index(named)]))]
    return (named, other) if first is not None else (other, named)
