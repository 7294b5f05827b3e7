"""A column in ten blocks: their values, their noise, and how far the last may exceed the lowest by chance.

The noise is the column's own, from second differences, so that neither a trend nor the unit of a loss matters. How many
noises are too many follows from one rate of false alarms: of ten blocks that differ by chance alone, one is always the
lowest, and the last lies above it. The limit is what it lies above it by in all but one of twenty such columns, drawn
from the column's own residuals, since those of losses have long tails.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from downslope._numbers import median

ALARM = 0.05  # of columns in which nothing happens: those that seem to have risen, before other columns are looked at
_BLOCKS = 10
# From a median absolute deviation to a standard deviation; and the second difference of noise has √6 times its own.
_TO_DEVIATION = 1.4826 / np.sqrt(6)
_OF_MEDIANS = 1.25  # the standard error of a median over that of a mean
# A few rows do not show their noise. Then it is that of a usual evaluation, 2 % of the loss, as though three more rows
# had shown it: a variance with as many degrees of freedom is pooled (Smyth 2004).
_FEW, _USUAL, _PRIOR = 20, 0.02, 3
_HALVED = 40  # rows, of which twenty half blocks show noise that lasts for several rows
_SMOOTHED, _DEGREE, _OF_DEVIATION = 16, 4, 1.4826  # rows that show how they hang together around a polynomial
_CLIPPED, _CORRELATED = 4.0, 0.8  # deviations beyond which a row says no more; the most that is believed of so few
_ON_THE_WAY = 0.2  # of the fall: rows further above the lowest show the way down, and not the noise
_DRAWS, _LEAST = 1000, 3.0
_LONGEST_TAIL = 10.0  # deviations of a row that count as noise
_MOST = 64  # rows of a block that is drawn; medians of more are normal


class Blocks:
    """A column in ten blocks, or in as many as it has rows.

    Args:
        numbers: finite, in the order of the steps.
    """

    def __init__(self, numbers: np.ndarray) -> None:
        self.numbers = np.asarray(numbers, dtype=float)
        self.rows = np.array_split(self.numbers, min(_BLOCKS, max(len(self.numbers), 1)))
        self.medians = np.array([float(median(rows)) if len(rows) else np.nan for rows in self.rows])

    @functools.cached_property
    def lowest(self) -> int:
        """The index of the lowest block."""
        return int(np.argmin(self.medians))

    @property
    def rise(self) -> float:
        """The rise from the lowest block to the last."""
        return float(self.medians[-1] - self.medians[self.lowest])

    @property
    def fall(self) -> float:
        """The fall from the first block to the lowest."""
        return float(self.medians[0] - self.medians[self.lowest])

    @functools.cached_property
    def _settled(self) -> np.ndarray:
        """The rows from where most of the way down is behind them; all of them where these are few."""
        level = self.medians[self.lowest] + _ON_THE_WAY * max(float(self.numbers[0] - self.medians[self.lowest]), 0.0)
        rest = self.numbers[int(np.argmax(self.numbers <= level)) :]
        return rest if 2 * len(rest) >= len(self.numbers) else self.numbers[len(self.numbers) // 2 :]

    @functools.cached_property
    def noise(self) -> float:
        """The standard deviation of a row around the course, where it has settled; NaN for fewer than three rows.

        >>> random = np.random.default_rng(0)
        >>> round(Blocks(np.linspace(9, 1, 2000) + random.normal(0, 0.1, 2000)).noise, 2)
        0.1
        """
        if len(self.numbers) < 3:
            return float("nan")
        second = np.diff(self._settled, 2)
        if len(self.numbers) >= _FEW:
            return float(_TO_DEVIATION * median(np.abs(second)))
        usual = (_USUAL * abs(float(median(self._settled)))) ** 2
        return float(np.sqrt((np.sum(second**2) / 6 + _PRIOR * usual) / (len(second) + _PRIOR)))

    @functools.cached_property
    def error(self) -> float:
        """The standard error of the median of a block."""
        size = len(self.numbers) / len(self.rows)
        of_rows = (_OF_MEDIANS if size >= 3 else 1.0) / float(np.sqrt(size))
        error = max(self.noise, self._slow_noise) * of_rows
        if len(self.numbers) < _HALVED:
            return error
        halves = np.array([float(median(rows)) for rows in np.array_split(self.numbers, 2 * len(self.rows))])
        return max(error, float(_TO_DEVIATION * median(np.abs(np.diff(halves, 2)))) / float(np.sqrt(2)))

    @functools.cached_property
    def _slow_noise(self) -> float:
        """The noise that as many independent rows would have to make means that scatter as these; 0 for few rows.

        Evaluations follow each other: weights that do badly at one do so at the next. Around a quartic, which has any
        turn that is looked for, rows with a correlation r from one to the next scatter as fewer of them would.
        """
        rows = self._settled
        if len(rows) < _SMOOTHED:
            return 0.0
        along = np.linspace(-1.0, 1.0, len(rows))
        around = rows - np.polyval(np.polyfit(along, rows, _DEGREE), along)
        spread = float(_OF_DEVIATION * median(np.abs(around)) * np.sqrt(len(rows) / (len(rows) - _DEGREE - 1)))
        scaled = np.clip(around, -_CLIPPED * spread, _CLIPPED * spread)
        total = float(np.sum(scaled**2))
        correlation = min(max(float(np.sum(scaled[1:] * scaled[:-1])) / total, 0.0), _CORRELATED) if total else 0.0
        return spread * float(np.sqrt((1 + correlation) / (1 - correlation)))

    @functools.cached_property
    def rose(self) -> bool:
        """Whether the last block lies above the lowest by more than chance explains."""
        return len(self.numbers) > 2 and self.rise > 0 and self.rise > self.limit * self.error

    @property
    def rises_each_time(self) -> bool:
        """Whether fewer than ten numbers rise one after the other from their lowest: n do in 1 of n! orders."""
        lowest = int(np.argmin(self.numbers)) if len(self.numbers) else 0
        rising = self.numbers[lowest:]
        # The lowest of several is always lower than what follows it.
        free = len(rising) if lowest == 0 else len(rising) - 1
        few = 0 < len(self.numbers) < _BLOCKS
        return few and bool(np.all(np.diff(rising) > 0)) and 1 / math.factorial(free) <= ALARM

    @functools.cached_property
    def fell(self) -> bool:
        """Whether the last block lies below the first by more than chance explains."""
        return len(self.numbers) > 2 and self.medians[0] - self.medians[-1] > self.limit * self.error

    @functools.cached_property
    def limit(self) -> float:
        """The errors by which the last block lies above the lowest in one of twenty columns without a trend."""
        if len(self.numbers) < _FEW:
            return _limit_of_few(len(self.rows), max(len(self._settled) - 2, 0) + _PRIOR)
        # In the noise that the error is of. A smooth column has none but rounding, and its bends are no noise at all.
        noise = max(self.noise, self._slow_noise)
        residuals = np.diff(self._settled, 2) / np.sqrt(6) / noise if noise else np.zeros(1)
        residuals = np.clip(residuals, -_LONGEST_TAIL, _LONGEST_TAIL)
        size = len(self.numbers) // len(self.rows)
        drawn = min(size, _MOST)
        random = np.random.default_rng(0)
        medians = median(random.choice(residuals, (_DRAWS, len(self.rows), drawn)))
        errors = (_OF_MEDIANS if drawn >= 3 else 1.0) / np.sqrt(drawn)
        # A smooth column has next to no residuals, and what is left is rounding.
        return max(float(np.quantile((medians[:, -1] - medians.min(axis=1)) / errors, 1 - ALARM)), _LEAST)


@functools.lru_cache(maxsize=64)
def _limit_of_few(blocks: int, freedom: int) -> float:
    """Return the limit for normal rows whose noise has the given degrees of freedom."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(20 * _DRAWS, blocks))
    noise = np.sqrt(random.chisquare(freedom, 20 * _DRAWS) / freedom)
    return float(np.quantile((rows[:, -1] - rows.min(axis=1)) / noise, 1 - ALARM))
