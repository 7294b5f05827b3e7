"""Guesses for the rates and periods of sines and cosines, from the rows themselves.

The squares have a minimum at each whole number of turns over the data, all of one width, so that guesses around the
scale of a column miss fast waves. A periodogram of all rows shows the rates at which there is a wave.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope.fitting._model import EquationModel
from downslope.fitting._problem import FitArguments
from downslope.formulas import Expression, evaluate, numpy_functions, wave_arguments

_PEAKS = 24  # of the periodogram
_SLOWEST = 0.25  # turns
_LONGEST = 1 << 20  # cells of the periodogram
_PADDING = 4  # times the length of the data: steps of a quarter of a turn
_SHARE = 0.25  # of the guesses from the peaks, and as many from all rates evenly


@dataclass(frozen=True)
class Wave:
    """The rate or the period of a wave.

    Args:
        turns: how often it turns over the data if the parameter is 1.
        power: 1 for a rate, −1 for a period.
        most: the most turns that the rows can tell from fewer.
        peaks: turns at the peaks of the periodogram, the highest first, shape (peaks,).
    """

    turns: float
    power: int
    most: float
    peaks: np.ndarray

    def mixed_into(self, guesses: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Return guesses of the parameter of which some are at peaks, and some are spread evenly over all rates."""
        count = len(guesses)
        even = random.uniform(_SLOWEST, self.most, count)
        toss = random.random(count)
        if len(self.peaks):
            near = random.choice(self.peaks, count) + random.uniform(-1, 1, count) / (2 * _PADDING)
            even = np.where(toss < _SHARE, np.maximum(near, _SLOWEST / 2), even)
        return np.where(toss < 2 * _SHARE, (even / self.turns) ** self.power, guesses)


def waves_in(model: EquationModel, names: Sequence[str], arguments: FitArguments) -> dict[str, Wave]:
    """Return the rates and periods of waves among some parameters, by name.

    Args:
        model: the equation, for its dimensions.
        names: of the parameters.
        arguments: all rows.
    """
    waves = {}
    for name in names:
        powers = model.dimensions[name] or {}
        column, power = next(iter(powers.items()), ("", 0.0))
        if len(powers) != 1 or abs(power) != 1 or column not in arguments.columns:
            continue
        turns = _turns_at_one(model, name, int(-power), arguments)
        if turns is not None:
            x = arguments.columns[column]
            most = max(len(np.unique(x)) / 2, 1.0)
            waves[name] = Wave(turns, int(-power), most, _peaks(x, arguments.measured, most))
    return waves


def _turns_at_one(model: EquationModel, name: str, power: int, arguments: FitArguments) -> float | None:
    """Return how often a wave turns over the data if a parameter is 1; None for one that makes no wave faster."""
    for argument in wave_arguments(model.equation.right.body, name):
        for others in (0.0, 1.0):
            values = {**arguments.columns, **dict.fromkeys(model.parameters, others)}
            turns, at_two = (_turns(argument, {**values, name: value}) for value in (1.0, 2.0))
            # A shift has the dimension of a period, and changes no rate.
            if 0 < turns < math.inf and math.isclose(at_two, turns * 2.0**power, rel_tol=1e-6):
                return turns
    return None


def _turns(argument: Expression, values: Mapping[str, Any]) -> float:
    """Return how often a wave turns over the data; NaN where its argument is no number."""
    with np.errstate(all="ignore"):
        angles = np.asarray(evaluate(argument, values, numpy_functions()), float)
        return float(np.ptp(angles) / math.tau) if angles.ndim else 0.0


def _peaks(x: np.ndarray, measured: np.ndarray, most: float) -> np.ndarray:
    """Return the turns over the data at the highest peaks of the periodogram, shape (peaks,)."""
    cells = min(2 << math.ceil(math.log2(len(x) + 1)), _LONGEST // _PADDING)
    span = float(np.ptp(x))
    if not span > 0:
        return np.empty(0)
    position = np.minimum(((x - x.min()) / span * cells).astype(int), cells - 1)
    sums = np.bincount(position, weights=measured - measured.mean(), minlength=cells)
    power = np.abs(np.fft.rfft(sums, _PADDING * cells)) ** 2
    inner = power[1:-1]
    at = np.flatnonzero((inner >= power[:-2]) & (inner > power[2:])) + 1
    at = at[(at >= _SLOWEST * _PADDING) & (at <= most * _PADDING)]
    return at[np.argsort(power[at])[::-1][:_PEAKS]] / _PADDING
