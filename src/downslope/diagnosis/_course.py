"""The course of a column of losses: whether it rose, fell or stayed, judged against its own scatter.

A batch decides what the loss of a step is, so that a single row says little. Beginning and end are windows of a tenth
of the rows. A change counts if it is beyond three standard errors of their difference, and beyond a share of the size.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from downslope._numbers import median

_WINDOWS = 10  # of the rows: one for the beginning, one for the end
_SURE = 3.0  # standard errors; 0.1 % of courses that do not move are beyond them
_RISE = 0.05  # of the loss at the beginning; less is no divergence even where it is certain
_STAYS = 0.03  # of the loss at the beginning: a fall by less is none
# Where the noise would hide a fall, ranks show it: 1 % of columns without one have a correlation beyond it.
_NEAR, _TREND, _RANKED = 0.1, 2.6, 20
_LIKELY = 2.0  # standard errors that a fall lies within, in 95 % of courses
# The lowest of ten windows is lower than the others by chance; five errors leave 1 course in 10⁵ beyond it.
_BEYOND_CHOICE = 5.0
_LATE = 5  # of the rows: the last fifth shows the pace at the end
# A loss that falls linearly goes at its average pace in the last fifth, one that falls as a square at 1.8 times.
_ACCELERATES = 1.5
_FAR = 10.0  # times the size at which it began
# From differences of neighbours: √2 for two rows, 1.4826 from a median absolute deviation to a standard deviation.
_TO_DEVIATION = 1.4826 / math.sqrt(2)


def scatter(rows: np.ndarray) -> float:
    """Return the standard deviation of a row around the course, from differences of neighbours; 0 for few rows.

    >>> noise = np.random.default_rng(0).normal(size=2000)
    >>> round(scatter(np.linspace(9, 1, 2000) + 0.1 * noise), 2)
    0.1
    """
    if len(rows) < 3:
        return 0.0
    differences = np.diff(rows)
    # A median, because leaps are no scatter; around the median difference, because a fall is none either.
    return float(_TO_DEVIATION * median(np.abs(differences - median(differences))))


class _Window(NamedTuple):
    """Some rows: their mean, and how many they are."""

    mean: float
    rows: int


class Course:
    """The finite numbers of a column, and the steps at which they were measured.

    Args:
        steps: ascending.
        numbers: as many.
    """

    def __init__(self, steps: np.ndarray, numbers: np.ndarray) -> None:
        known = np.isfinite(numbers)
        self.steps, self.numbers = np.asarray(steps)[known], np.asarray(numbers, dtype=float)[known]

    def __len__(self) -> int:
        return len(self.numbers)

    @functools.cached_property
    def windows(self) -> list[np.ndarray]:
        """The rows in ten windows; fewer for fewer rows."""
        return np.array_split(self.numbers, min(_WINDOWS, max(len(self), 1)))

    @functools.cached_property
    def scatter(self) -> float:
        """The standard deviation of a row around the course, also where it swings slowly within the last window."""
        last = self.windows[-1]
        if len(last) < 8:
            return scatter(self.numbers)
        along = np.arange(len(last))
        around = last - np.polyval(np.polyfit(along, last, 1), along)
        return max(scatter(self.numbers), float(np.std(around, ddof=2)))

    @property
    def first(self) -> float:
        """The mean of the first window; NaN for a column without a number."""
        return _mean(self.windows[0])

    @property
    def last(self) -> float:
        """The mean of the last window; NaN for a column without a number."""
        return _mean(self.windows[-1])

    @functools.cached_property
    def rose(self) -> bool:
        """Whether it ended above where it began."""
        if len(self) < 2:
            return False
        # The first row as well as the first window: a loss that is thrown up at once is high in all of the window, and
        # one that falls at once is low in it.
        first = _Window(float(self.numbers[0]), 1)
        fell = first.mean - self.last > _SURE * self._error(1)
        beginnings = [first] if fell else [first, _Window(self.first, len(self.windows[0]))]
        return any(
            self.last - start.mean > max(_SURE * self._error(start.rows), _RISE * abs(start.mean))
            for start in beginnings
        )

    @functools.cached_property
    def lowest(self) -> tuple[float, float]:
        """The mean of the lowest window, and the middle of its steps."""
        at = int(np.argmin([_mean(window) for window in self.windows]))
        return _mean(self.windows[at]), float(np.mean(np.array_split(self.steps, len(self.windows))[at]))

    def rose_since_lowest(self, errors: float = _SURE) -> bool:
        """Tell whether it ended above its lowest window, by more than so many standard errors."""
        back = self.last - self.lowest[0]
        return back > max(errors * self._error(len(self.windows[-1])), _RISE * abs(self.lowest[0]))

    def fell_since(self, step: float, errors: float = 0.0) -> bool:
        """Tell whether it ended below what it was around a step, by more than so many standard errors."""
        around = self.numbers[np.argsort(np.abs(self.steps - step))[: max(len(self.windows[-1]), 1)]]
        return _mean(around) - self.last > errors * self._error(max(len(around), 1))

    @functools.cached_property
    def relapsed(self) -> bool:
        """Whether it gave back half of what it had fallen by, or more, and ended at its highest since."""
        means = [_mean(window) for window in self.windows]
        if len(self) < _WINDOWS or not self.rose_since_lowest(_BEYOND_CHOICE):
            return False
        low = int(np.argmin(means))
        back = means[-1] - means[low]
        return low > 0 and back > (means[0] - means[low]) / 2 and means[-1] == max(means[low:])

    @property
    def plunges(self) -> bool:
        """Whether it falls ever faster and is far below zero: it seems to have no lowest value."""
        if not self.last < 0 or abs(self.last) < _FAR * abs(self.first):
            return False
        return self.late_pace is not None and self.late_pace > _ACCELERATES

    @functools.cached_property
    def is_flat(self) -> bool:
        """Whether it certainly did not move: it did not fall by 5 % even if the noise hid some, nor rise."""
        if len(self) < 2 or self.rose or not self.first > 0:
            return False
        fall, error = self.first - self.last, self._error(len(self.windows[0]))
        outlier = self.numbers[0] - self.last > max(_SURE * self.scatter, _RISE * self.first)
        least = fall + _LIKELY * error
        small = least < _STAYS * self.first or (fall < _LIKELY * error and least < _RISE * self.first)
        # Where the noise hides more than that, the ranks of all rows decide.
        hidden = abs(fall) < max(_NEAR * self.first, _LIKELY * error) and not self.has_trend
        return bool((small or hidden) and not outlier and not self.relapsed)

    @property
    def has_trend(self) -> bool:
        """Whether the rows tend to fall or rise, by their ranks, which no long tail moves; unknown for few: so True."""
        if len(self) < _RANKED:
            return True
        ranks = np.argsort(np.argsort(self.numbers, kind="stable"))
        # Of rows without a trend, Spearman's correlation has the variance 1 / (n − 1).
        return abs(float(np.corrcoef(ranks, np.arange(len(self)))[0, 1])) * math.sqrt(len(self) - 1) > _TREND

    @functools.cached_property
    def late_pace(self) -> float | None:
        """The pace at which it fell over the last fifth, over its average pace; None for few rows, or where it rose.

        An exponential approach that has 28 % of its way before it goes at half of its average pace; one that is there,
        at none of it.
        """
        if len(self) < 2 * _WINDOWS or not self.first > self.last:
            return None
        late = slice(-(len(self) // _LATE), None)
        steps, numbers = self.steps[late].astype(float), self.numbers[late]
        slope = float(np.polyfit(steps - steps[0], numbers, 1)[0])
        fall = -slope * (steps[-1] - steps[0])
        # The error of a slope over n rows, times their length, is σ √(12/n).
        sure = self.first - self.last > _SURE * self._error(len(self.windows[0]))
        if not sure or fall < _LIKELY * self.scatter * math.sqrt(12 / len(numbers)):
            return 0.0
        centres = [float(np.mean(part)) for part in np.array_split(self.steps, len(self.windows))]
        average = (self.first - self.last) / (centres[-1] - centres[0])
        return -slope / average

    def _error(self, rows: int) -> float:
        """Return the standard error of the difference of the last window and so many rows of the beginning."""
        return self.scatter * math.sqrt(1 / rows + 1 / max(len(self.windows[-1]), 1))


def _mean(rows: np.ndarray) -> float:
    return float(np.mean(rows)) if len(rows) else math.nan
