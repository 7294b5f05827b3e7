"""Contour levels that a person would choose: round numbers that divide the heights evenly, and their labels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._numbers import evenly_spread
from downslope._text import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEVELS = 18
_FEWEST = 8
_AROUND = 5  # levels on either side of 0
_ROUND = (1.0, 2.0, 5.0)
_BELOW = {1: (0.2, 0.5), 2: (0.25, 0.5), 5: (0.2, 0.4), 10: (0.2, 0.5)}  # of a step of 1, 2 or 5
_SHARE = 0.004  # of the ground below the lowest level: what is smaller is a dot
_LABELS = 7
_CLEAR = 0.07  # of the picture between a label and the path, and between two labels


def levels(heights: np.ndarray, count: int = _LEVELS) -> np.ndarray:
    """Return contour levels that show a valley: round numbers, closer together where the ground is flat.

    Multiples of a round step, and 1, 2, 5, 10, 20, … above the lowest, below the highest or around 0: the scale is
    chosen whose levels divide the ground most evenly.

    Args:
        heights: heights on a grid, NaN where there is none.
        count: how many levels at most.

    Returns:
        The levels, rising; empty where all heights are the same.
    """
    finite = np.sort(heights[np.isfinite(heights)])
    if len(finite) == 0 or not finite[-1] - finite[0] > 4 * np.finfo(float).eps * np.abs(finite).max():
        return np.array([])
    best = max(_scales(finite, count), key=lambda rising: _evenness(finite, rising))
    return best if len(best) >= 2 else np.quantile(finite, [0.25, 0.5, 0.75])


def _scales(finite: np.ndarray, count: int) -> Iterator[np.ndarray]:
    """Yield levels on scales of different kinds."""
    low, high = float(finite[0]), float(finite[-1])
    for wanted in (count, _FEWEST):
        step = _round_step((high - low) / wanted)
        first = math.floor(low / step) + 1
        rising = step * np.arange(first, math.ceil(high / step))
        yield rising
        # 1 and 2 below 5, 10, 15, …: the ground around a minimum.
        base, leading = rising[0] - step, round(step / 10.0 ** math.floor(math.log10(step)))
        if abs(base - low) < 0.1 * step and np.mean(finite < rising[0]) > _SHARE:
            yield np.concatenate([base + step * np.array(_BELOW[leading]), rising])
    floor, ceiling = _round_base(low, high - low), -_round_base(-high, high - low)
    decades = _decades(high - low, count)
    yield _within(floor + decades, finite, count)
    yield _within(ceiling - decades[::-1], finite, count)
    if low < 0 < high:
        around = _decades(max(high, -low), min(count // 2, _AROUND))
        yield _within(np.concatenate([-around[::-1], [0.0], around]), finite, count)


def _decades(reach: float, count: int) -> np.ndarray:
    """Return the given number of levels 1, 2, 5, 10, 20, … times a power of ten, up to a height."""
    top = math.floor(math.log10(reach)) + 1
    every = np.array([factor * 10.0**power for power in range(top - 17, top + 1) for factor in _ROUND])
    return every[every < reach][-count:]


def _within(rising: np.ndarray, finite: np.ndarray, count: int) -> np.ndarray:
    """Return the levels that show: some of the ground lies below the lowest and above the highest."""
    low, high = np.quantile(finite, [_SHARE, 1 - _SHARE])
    seen = rising[(rising > low) & (rising < high)]
    return seen[-count:]


def _round_step(step: float) -> float:
    """Return the round number next above a step."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (*_ROUND, 10.0) if factor * power >= step * (1 - 1e-9))


def _round_base(low: float, reach: float) -> float:
    """Return a round number just below a height, 0 where that is near."""
    if abs(low) < 0.02 * reach:
        return 0.0
    digits = 2 - math.floor(math.log10(reach))
    return math.floor(low * 10.0**digits) / 10.0**digits if abs(digits) < 300 else low


def _evenness(finite: np.ndarray, rising: np.ndarray) -> float:
    """Return the entropy of the shares of the ground between the levels: more for more and for more even levels."""
    if len(rising) < 2:
        return -1.0
    edges = np.concatenate([[0], np.searchsorted(finite, rising), [len(finite)]])
    shares = np.diff(edges) / len(finite)
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def label_levels(axes: Axes, contours: Any, path: np.ndarray) -> None:
    """Write the values of some contours on them, off the path and off each other.

    Args:
        axes: the axes, whose limits are set.
        contours: Matplotlib's contour set.
        path: the points to keep off, shape (points, 2).
    """
    from matplotlib import patheffects

    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    corner, size = np.array([left, bottom]), np.array([right - left, top - bottom])
    taken = [_dense((path - corner) / size)]
    lines = list(zip(contours.levels, contours.allsegs, strict=True))
    drawn = [(level, [s for s in segments if len(s) > 8]) for level, segments in lines]
    drawn = [(level, segments) for level, segments in drawn if segments]
    for index in evenly_spread(len(drawn), _LABELS):
        level, segments = drawn[index]
        spot = _free_spot([(segment - corner) / size for segment in segments], np.vstack(taken))
        if spot is None:
            continue
        point, along = spot
        x, y = corner + point * size
        width, height = axes.get_window_extent().size
        angle = math.degrees(math.atan2(along[1] * height, along[0] * width))
        axes.annotate(
            number(level),
            (x, y),
            fontsize=7.5,
            color="#33414d",
            ha="center",
            va="center",
            rotation=(angle + 90) % 180 - 90,
            rotation_mode="anchor",
            zorder=2,
            annotation_clip=True,
            path_effects=[patheffects.Stroke(linewidth=2.5, foreground="white", alpha=0.75), patheffects.Normal()],
        )
        taken.append(point[None])


def _dense(points: np.ndarray) -> np.ndarray:
    """Return points with points between them, so that a long step is kept off as well."""
    points = points[np.all(np.isfinite(points), axis=1)]
    if len(points) < 2:
        return points
    points = points[evenly_spread(len(points), 200)]
    between = np.linspace(0, 1, 12)[:, None, None]
    return ((1 - between) * points[:-1] + between * points[1:]).reshape(-1, 2)


def _free_spot(segments: list[np.ndarray], taken: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the point of a contour that is farthest from all that is taken, and its direction there."""
    best, spot = _CLEAR, None
    for segment in segments:
        rows = np.unique(np.linspace(3, len(segment) - 4, min(len(segment), 60)).round().astype(int))
        points = segment[rows]
        edge = np.minimum(points, 1 - points).min(axis=1)
        apart = np.full(len(points), 0.5)
        if len(taken):
            apart = np.linalg.norm(points[:, None] - taken[None], axis=2).min(axis=1)
        room = np.where(edge > 0.05, np.minimum(apart, np.minimum(2 * edge, 0.3)), -1.0)
        index = int(np.argmax(room))
        if room[index] > best:
            row = rows[index]
            best, spot = float(room[index]), (segment[row], segment[row + 3] - segment[row - 3])
    return spot
