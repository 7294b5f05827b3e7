"""The values around a point at several distances, and the kind of point that they show.

At each distance the lowest and the highest change of the value are sought over all directions. A kind is decided by
three distances in a row that show the same signs; the smallest count at which rounding does not hide the changes.
`value_noise` estimates how far rounding alone moves a value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from downslope._judgement import Look

# Displacements as shares of the lengths, shape (rows, size), to changes of the value and the rounding in them.
Rises: TypeAlias = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

SIGNAL = 30.0  # roundings that a change of the value must exceed to count
_RADII = 10.0 ** np.arange(-6, -0.9, 0.5)  # shares of the lengths, smallest first
_AGREE = 3  # distances in a row that must show the same signs
_ANGLES = 180
_REFINEMENTS = 32
_NUDGE = 1e-3  # share of a distance over which a second difference of the change shows its rounding
_NUDGE_AT_KINKS = 1e-6  # the same where the value may bend within a thousandth of the distance
_TURNS = np.array([[-1.0], [-0.5], [0.5], [1.0]])
_DECIDED = {"+", "-", "+-"}
_JITTERS = np.array([1e-13, 3e-13, 1e-12, 3e-12])  # of the lengths: how far rounding alone moves the value
_KINDS = {"+": "minimum", "0+": "minimum", "-": "maximum", "0-": "maximum"}


def looks_of(rises: Rises, size: int, nearest: float, is_smooth: bool = True) -> list[tuple[Look, str]]:
    """Return the lowest and highest change at several distances, each with its signs; until these are decided."""
    looks: list[tuple[Look, str]] = []
    for radius in _RADII[min(nearest, 1e-2) <= _RADII]:
        look, level = _look(rises, size, float(radius), _NUDGE if is_smooth else _NUDGE_AT_KINKS)
        looks.append((look, _signs(look, level)))
        last = {signs for _, signs in looks[-_AGREE:]}
        if len(looks) >= _AGREE and len(last) == 1 and last <= _DECIDED:
            break
    return looks


def _look(rises: Rises, size: int, radius: float, nudge: float) -> tuple[Look, bool]:
    """Return the lowest and highest change at a distance, and whether the value is level in some direction."""
    directions = _sphere(size)
    change, error = rises(radius * directions)
    known = np.isfinite(change)
    if not known.any():
        return Look(radius, 0.0, 0.0, float("inf")), False
    directions, change, error = directions[known], change[known], error[known]
    level = bool(np.any(np.abs(change) <= SIGNAL * error))
    ends = []
    for sign in (1.0, -1.0):
        index = int(np.argmin(sign * change))
        direction, extreme, doubt = directions[index], float(change[index]), float(error[index])
        # A change of the sought sign decides; otherwise look for one between the directions of the sample.
        if size > 1 and sign * extreme > -SIGNAL * doubt:
            direction, extreme, doubt = _refined(rises, radius, direction, sign)
        ends.append((extreme, max(doubt, _scatter(rises, radius * direction, extreme, nudge))))
    (lowest, below), (highest, above) = ends
    level = level or abs(lowest) <= SIGNAL * below or abs(highest) <= SIGNAL * above
    return Look(radius, lowest, highest, max(below, above)), level


def _scatter(rises: Rises, displacement: np.ndarray, change: float, nudge: float) -> float:
    """Return the rounding in a change, as its second difference over a part of the distance shows it.

    A power p of the distance contributes p²·10⁻⁶ of the change to it, which does not matter; what cancels inside the
    function, as in 1 − cos x − x²/2, does.
    """
    around, _ = rises(np.stack([displacement * (1 + nudge), displacement * (1 - nudge)]))
    difference = abs(float(around[0]) + float(around[1]) - 2 * change) / 4
    return difference if np.isfinite(difference) else 0.0


def _sphere(size: int) -> np.ndarray:
    """Return unit directions all around."""
    if size == 1:
        return np.array([[1.0], [-1.0]])
    if size == 2:
        angles = 2 * np.pi * np.arange(_ANGLES) / _ANGLES
        # Exact axes and diagonals: along these the values of textbook formulas are level exactly.
        rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        return np.where(np.abs(rows) < 1e-12, 0.0, rows)
    many = np.random.default_rng(0).normal(size=(60 * size, size))
    return np.concatenate([np.eye(size), -np.eye(size), many / np.linalg.norm(many, axis=1, keepdims=True)])


def _refined(rises: Rises, radius: float, start: np.ndarray, sign: float) -> tuple[np.ndarray, float, float]:
    """Return the direction of the lowest change on a sphere (the highest for sign −1) near another, with its error."""
    size = len(start)
    best, width = start, 2 * np.pi / _ANGLES if size == 2 else 0.3
    change, error = rises(radius * best[None])
    lowest, doubt = float(change[0]), float(error[0])
    rng = np.random.default_rng(1)
    for _ in range(_REFINEMENTS):
        turns = rng.normal(size=(8 * (size - 1), size)) if size > 2 else np.array([[-best[1], best[0]]]) * _TURNS
        tried = best + width * turns
        tried /= np.linalg.norm(tried, axis=1, keepdims=True)
        change, error = rises(radius * tried)
        change = np.where(np.isfinite(change), change, sign * np.inf)
        index = int(np.argmin(sign * change))
        if sign * change[index] < sign * lowest:
            best, lowest, doubt = tried[index], float(change[index]), float(error[index])
            if sign * lowest < -SIGNAL * doubt:
                break
        width /= 2 if size == 2 else 1.4
    return best, lowest, doubt


def kind_of_looks(looks: list[tuple[Look, str]], size: int) -> tuple[str, bool | None, tuple[Look, ...]]:
    """Return the kind that the values at several distances show, whether the point is isolated, and the evidence.

    The smallest distances count at which rounding does not hide the values, if three in a row agree.
    """
    signs, shown = [signs for _, signs in looks], tuple(look for look, _ in looks)
    for wanted in (_DECIDED, {"0+", "0-"}):
        for index in range(len(signs) - _AGREE + 1):
            row = signs[index : index + _AGREE]
            if row[0] in wanted and len(set(row)) == 1:
                kind = _KINDS.get(row[0]) or ("inflection" if size == 1 else "saddle")
                return kind, "0" not in row[0], shown[index : index + _AGREE]
    # Unchanged values are no proof where rounding could hide a change.
    if signs and all(look.lowest == look.highest == 0 for look in shown):
        return "level", False, shown[-_AGREE:]
    return "degenerate", None, shown[-_AGREE:]


def _signs(look: Look, level: bool) -> str:
    """Return the signs of the changes at one distance: +, −, both, or 0 where some or all are level."""
    margin = SIGNAL * look.error
    up, down = look.highest > margin, look.lowest < -margin
    if up and down:
        return "+-"
    if up:
        return "0+" if level or look.lowest <= margin else "+"
    if down:
        return "0-" if level or look.highest >= -margin else "-"
    return "0"


def value_noise(
    values: Callable[[np.ndarray], np.ndarray],
    point: np.ndarray,
    value: float,
    gradient: np.ndarray,
    lengths: np.ndarray,
    scale: float,
) -> np.ndarray:
    """Return how far rounding moves the value along each axis, shape (size,).

    A sum of large terms that cancel moves more than its result. Each coordinate has its own length: a jitter of 5·10⁹
    along x says nothing of y near 0, nor what a jitter of y does of a ray along x, on which y stays as it is.

    Args:
        values: rows of coordinates, shape (rows, size), to values.
        point: shape (size,).
        value: the value there.
        gradient: the gradient there, shape (size,).
        lengths: a length for each coordinate, above 0.
        scale: the length that distances from the point are held against.
    """
    own = 4 * float(np.finfo(float).eps) * abs(value)
    ways = np.concatenate([np.diag(lengths), -np.diag(lengths)])
    rows = point + (_JITTERS[:, None, None] * ways).reshape(-1, len(point))
    slope = float(np.linalg.norm(gradient * lengths)) * _JITTERS[-1]
    moved = np.abs(values(rows) - value).reshape(-1, 2, len(point))
    jitters = 4 * (np.max(np.where(np.isfinite(moved), moved, 0.0), axis=(0, 1)) - 2 * slope)
    return np.maximum(jitters, max(own, _quantum(values, point, value, gradient, scale, own)))


def _quantum(
    values: Callable[[np.ndarray], np.ndarray],
    point: np.ndarray,
    value: float,
    gradient: np.ndarray,
    scale: float,
    own: float,
) -> float:
    """Return the smallest change that the value can show; 0 where it follows the slope to its own rounding.

    ln(1 + e^(−x)) changes in steps of 1e−16 far out, though it is 1e−11 itself.
    """
    slope = float(np.linalg.norm(gradient))
    if not slope > 0:
        return 0.0
    distances = scale * 10.0 ** np.arange(-12.0, -3.0)
    changes = np.abs(values(point - distances[:, None] * gradient / slope) - value)
    hidden = (changes == 0) & (slope * distances > 4 * own)
    shown = changes[(changes > 0) & np.isfinite(changes)]
    return 8 * float(np.min(shown)) if np.any(hidden) and len(shown) else 0.0
