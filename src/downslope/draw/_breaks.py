"""Curves: where to break the line at poles and jumps, which heights to show, and which neighbourhood."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Values = Callable[[np.ndarray], np.ndarray]

_MOST_BREAKS = 60
_HALVINGS = 40
_GROWN = 1e3  # times the values at the ends of an interval: a pole lies within
_JUMP = 0.02  # of the heights shown: a smaller jump is not seen
_SHARE = 0.08  # of the points at each end may leave the picture
_TALL = 20.0  # times the heights of most points: what lies beyond is a wall or a pole
_MARGIN = 0.06
_REACH = 4.0  # times the half width of a range: how far a turning point or pole may be to be shown
_MOST_FEATURES = 3  # turning points, kinks and poles that have to be shown
_LOOKS = 1601


def broken(values: Values, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a curve with NaN at each pole and jump, and points close to both sides of it.

    A difference that stays when its interval is halved again and again is no steep slope.

    Args:
        values: the function.
        x: rising arguments.
        y: its values there, NaN where there is none.
    """
    tall = _spread(y)
    steps = np.abs(np.diff(y))
    # Two points at equal distances from a pole are equally high.
    heights = np.minimum(np.abs(y[:-1]), np.abs(y[1:]))
    suspects = np.flatnonzero((steps > _JUMP * tall) | (heights > _TALL * tall))
    steps = np.fmax(steps, heights)
    suspects = suspects[np.argsort(-steps[suspects])[:_MOST_BREAKS]]
    if len(suspects) == 0:
        return x, y
    begin = np.abs(y[suspects]) + np.abs(y[suspects + 1]) + tall
    added: list[tuple[float, float]] = []
    known = np.zeros(len(suspects), bool)
    for follow in (_larger_difference, _larger_value):
        left, right, low, high, infinite = _narrowed(values, x, y, suspects, follow)
        grown = np.maximum(np.abs(low), np.abs(high)) > _GROWN * begin
        stays = infinite | grown
        if follow is _larger_difference:
            stays |= np.abs(high - low) > 0.5 * np.abs(y[suspects + 1] - y[suspects])
        for row in np.flatnonzero(stays & ~known):
            middle = (left[row] + right[row]) / 2
            added += [(left[row], low[row]), (middle, np.nan), (right[row], high[row])]
        known |= stays
    more = np.array(added).reshape(-1, 2)
    order = np.argsort(np.concatenate([x, more[:, 0]]), kind="stable")
    return np.concatenate([x, more[:, 0]])[order], np.concatenate([y, more[:, 1]])[order]


Quarters = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _larger_difference(heights: Quarters) -> np.ndarray:
    """Return where the left half has the larger difference: that is where a jump or a change of sign lies."""
    low, _, middle, _, high = heights
    return np.abs(middle - low) >= np.abs(high - middle)


def _larger_value(heights: Quarters) -> np.ndarray:
    """Return where the left half has the larger value: that is where a pole lies whose branches are equally high."""
    _, first, _, last, _ = heights
    return np.abs(first) >= np.abs(last)


def _narrowed(
    values: Values, x: np.ndarray, y: np.ndarray, rows: np.ndarray, follow: Callable[[Quarters], np.ndarray]
) -> Quarters:
    """Return intervals halved again and again: both ends, the values there, and whether a point without one was met."""
    left, right, low, high = x[rows], x[rows + 1], y[rows], y[rows + 1]
    infinite = np.zeros(len(rows), bool)
    for _ in range(_HALVINGS):
        middle = (left + right) / 2
        first, value, last = (values(points) for points in ((left + middle) / 2, middle, (middle + right) / 2))
        infinite |= ~np.isfinite(value)
        with np.errstate(invalid="ignore"):
            in_left = follow((low, first, value, last, high))
        goes_left, goes_right = in_left & ~infinite, ~in_left & ~infinite
        left, right = np.where(goes_right, middle, left), np.where(goes_left, middle, right)
        low, high = np.where(goes_right, value, low), np.where(goes_left, value, high)
    return left, right, low, high, infinite


def height_range(heights: np.ndarray, seen: np.ndarray | None = None) -> tuple[float, float]:
    """Return the heights to show: all of them, except a wall or a pole that would flatten the rest of the curve.

    Args:
        heights: the values along the curve, NaN where there is none.
        seen: heights that have to be shown, such as those of a path; those that ran away are not.
    """
    finite = heights[np.isfinite(heights)]
    if len(finite) == 0:
        return (0.0, 1.0)
    low, high = float(finite.min()), float(finite.max())
    least, most = (float(limit) for limit in np.quantile(finite, [_SHARE, 1 - _SHARE]))
    if high - low > _TALL * (most - least) > 0:
        room = most - least
        low, high = max(low, least - room / 2), min(high, most + room / 2)
        near = np.empty(0) if seen is None else seen[np.isfinite(seen)]
        near = near[(near > low - _TALL * room) & (near < high + _TALL * room)]
        if len(near):
            low, high = min(low, float(near.min())), max(high, float(near.max()))
    margin = _MARGIN * (high - low) or 0.5 * max(1.0, abs(high))
    return (low - margin, high + margin)


def neighbourhood(values: Values, low: float, high: float, centre: float) -> tuple[float, float]:
    """Return a range widened to what a person expects to see: the next turning points, kinks and poles.

    Args:
        values: the function.
        low: the lower end of the range.
        high: the upper end.
        centre: what the picture is about.
    """
    half = max(high - low, 2 * abs(high - centre), 2 * abs(centre - low)) / 2
    x = np.linspace(centre - _REACH * half, centre + _REACH * half, _LOOKS)
    y = values(x)
    poles = _poles(values, x, y)
    features = np.unique(np.concatenate([_turning_points(x, y), _kinks(x, y), poles]))
    within = features[(features > low) & (features < high)]
    # The nearest ones on both sides, as many as are still missing.
    others = sorted(set(features) - set(within), key=lambda feature: abs(feature - centre))
    shown = [*within, *others[: max(0, _MOST_FEATURES - len(within))]]
    for feature in shown:
        # Behind a pole lies the other branch.
        room = (1.0 if feature in poles else 0.5) * max(abs(feature - centre), 0.25 * half)
        if feature < low + 0.5 * room:
            low = feature - room
        elif feature > high - 0.5 * room:
            high = feature + room
    return low, high


def _poles(values: Values, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return where a curve is broken because it grows without bound."""
    cut_x, cut_y = broken(values, x, y)
    gaps = np.flatnonzero(~np.isfinite(cut_y[1:-1])) + 1
    tall = _TALL * _spread(y)
    grown = [g for g in gaps if min(abs(cut_y[g - 1]), abs(cut_y[g + 1])) > tall]
    return cut_x[grown]


def _kinks(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return where the slope of a curve jumps."""
    bend = np.abs(np.diff(y, 2))
    apart = np.full(len(bend), np.inf)
    apart[3:-3] = np.maximum(bend[6:], bend[:-6])
    with np.errstate(all="ignore"):
        sharp = (bend > 30 * apart) & (bend > 1e-4 * _spread(y))
    rows = np.flatnonzero(sharp)
    # A kink between two points bends the curve at both.
    return x[rows[np.diff(rows, prepend=-2) > 1] + 1]


def _turning_points(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return where a curve changes from rising to falling or back, poles and noise left out."""
    with np.errstate(all="ignore"):
        slope = np.diff(y)
        noise = 64 * np.finfo(float).eps * np.nanmax(np.abs(y), initial=0.0)
        turned = (slope[:-1] * slope[1:] < 0) & (np.abs(slope[:-1]) > noise) & (np.abs(slope[1:]) > noise)
        # At a pole a difference is far larger than those beside it.
        calm = np.maximum(np.abs(slope[:-1]), np.abs(slope[1:])) < 1e3 * (
            np.minimum(np.abs(slope[:-1]), np.abs(slope[1:])) + 1e-3 * _spread(y)
        )
        finite = y[np.isfinite(y)]
        middle = np.median(finite) if len(finite) else 0.0
        calm &= np.abs(y[1:-1] - middle) < _TALL * _spread(y)
    return x[1:-1][turned & calm]


def _spread(y: np.ndarray) -> float:
    """Return the height of most of a curve."""
    finite = y[np.isfinite(y)]
    if len(finite) == 0:
        return 0.0
    low, high = np.quantile(finite, [_SHARE, 1 - _SHARE])
    return float(high - low) or float(finite.max() - finite.min())
