"""The axis of a column: linear or logarithmic, as its values are spread, with 0 set apart on a logarithmic one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._errors import SettingError, described
from downslope._text import number
from downslope.draw import _style as style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DECADES = 2.0  # from which on a column may be logarithmic by itself
_FEWEST = 3  # different values above 0 that show how a column is spread
_UNEVEN = 0.25  # largest distance of evenly spread values from a straight line, as a share of their range
_EDGE = 0.03  # of the range, beyond which a curve does not go
_GAP = (0.3, 0.14)  # decades between 0 and the lowest value: at least, and as a share of the range
_LETTER = 0.017  # of the axis: the width of a letter, for a number beside that at 0
_PLAIN = (1e-3, 1e5)  # numbers that are written out
_SAMPLE = 20_000  # values that show how a column is spread
_CHOICES = ("x", "y", "xy", "none")


def axes_in_logarithms(log: Any) -> tuple[bool | None, bool | None]:
    """Return whether x and y are logarithmic; None where the data decide.

    Raises:
        SettingError: for anything but "x", "y", "xy", "none" and None.
    """
    if log is None:
        return None, None
    if log is False or log == "none":
        return False, False
    if log not in _CHOICES:
        raise SettingError(f"log is x, y, xy or none, not {described(log)}", hint='for example log="x"')
    return "x" in log, "y" in log


def is_spread_in_decades(values: np.ndarray) -> bool:
    """Tell whether the logarithms of values are evenly spaced over two decades or more; zeros do not count.

    >>> is_spread_in_decades(np.array([0, 0.01, 0.03, 0.1, 0.3, 1, 3, 10])), is_spread_in_decades(np.arange(500.0))
    (True, False)
    """
    values = values[:: max(len(values) // _SAMPLE, 1)]
    values = np.unique(values[np.isfinite(values)])
    if len(values) and values[0] < 0:
        return False
    values = values[values > 0]
    if len(values) < _FEWEST or math.log10(values[-1] / values[0]) < _DECADES:
        return False
    return _unevenness(np.log(values)) <= min(_UNEVEN, _unevenness(values) / 2)


def _unevenness(values: np.ndarray) -> float:
    """Return how far ascending values are from evenly spaced ones, as a share of their range."""
    return float(np.max(np.abs((values - values[0]) / (values[-1] - values[0]) - np.linspace(0, 1, len(values)))))


@dataclass(frozen=True)
class ColumnAxis:
    """The axis of a column.

    Args:
        is_log: whether it is logarithmic.
        low, high: the lowest and highest value, those above 0 on a logarithmic axis.
        zero: where 0 stands on a logarithmic axis; None where there is none.
        zero_text: what is written there.
    """

    is_log: bool
    low: float
    high: float
    zero: float | None = None
    zero_text: str = "0"

    def at(self, values: np.ndarray) -> np.ndarray:
        """Return the positions of values on the axis."""
        return values if self.zero is None else np.where(values == 0, self.zero, values)

    def points(self, count: int = 400) -> np.ndarray | None:
        """Return the points of a curve on a logarithmic axis, evenly spaced there; None on a linear one."""
        if not self.is_log:
            return None
        beyond = (self.high / self.low) ** _EDGE
        return np.geomspace(self.low / beyond, self.high * beyond, count)

    def show(self, axes: Axes) -> None:
        """Give axes this scale, with a break between 0 and the rest."""
        if not self.is_log:
            return
        axes.set_xscale("log")
        beyond = (self.high / self.low) ** (2 * _EDGE) * 1.05
        axes.set_xlim((self.low if self.zero is None else self.zero) / beyond, self.high * beyond)
        mark_decades(axes.xaxis)
        if self.zero is not None:
            self._set_apart(axes, self.zero)

    def _set_apart(self, axes: Axes, zero: float) -> None:
        """Mark 0, and take away the marks of the scale beside it."""
        from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator

        first = self.low / (self.low / zero) ** 0.25
        steps = LogLocator(numticks=12).tick_values(self.low, self.high)
        between = LogLocator(subs=range(2, 10), numticks=99).tick_values(self.low, self.high)
        beside = zero * (self.high / zero) ** (_LETTER * len(self.zero_text))
        kept = [tick for tick in steps if max(first, beside) < tick <= self.high * 1.5]
        axes.xaxis.set_major_locator(FixedLocator([zero, *kept]))
        axes.xaxis.set_minor_locator(FixedLocator([tick for tick in between if first < tick <= self.high * 1.5]))
        axes.xaxis.set_major_formatter(
            FuncFormatter(lambda tick, _: self.zero_text if tick < first else tick_text(tick))
        )
        self.mark_break(axes)

    def mark_break(self, axes: Axes) -> None:
        """Mark where the axis is broken between 0 and the lowest value; nothing where it is not."""
        if self.zero is None:
            return
        middle = math.sqrt(self.low * self.zero)
        slanted: Any = {"marker": [(-0.6, -1), (0.6, 1)], "markersize": 9, "linestyle": "", "clip_on": False}
        for shift in (0.965, 1.035):
            axes.plot([middle * shift], [0], transform=axes.get_xaxis_transform(), color=style.ZERO, **slanted)


def column_axis(name: str, values: np.ndarray, wanted: bool | None) -> ColumnAxis:
    """Return the axis of a column.

    Args:
        name: the column.
        values: its values.
        wanted: whether it is logarithmic; None where the values decide.

    Raises:
        SettingError: where a logarithmic axis is wanted for values below 0, or for zeros alone.
    """
    low, high = float(np.min(values)), float(np.max(values))
    is_log = is_spread_in_decades(values) if wanted is None else wanted
    if not is_log:
        return ColumnAxis(False, low, high)
    if low < 0 or high <= 0:
        which = f"is {number(low)} in some row" if low < 0 else "is 0 in every row"
        raise SettingError(f"{name} {which}, which a logarithmic axis cannot show", hint='log="none"')
    above = float(np.min(values[values > 0]))
    gap = 10 ** max(_GAP[0], _GAP[1] * math.log10(high / above))
    return ColumnAxis(True, above, high, above / gap if low == 0 else None)


def mark_decades(axis: Any) -> None:
    """Write the numbers of a logarithmic axis out where they are short."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = sorted(axis.get_view_interval())
    if low > 0 and high / low > 8:
        axis.set_major_locator(LogLocator(numticks=12))
        axis.set_minor_formatter(NullFormatter())
        axis.set_major_formatter(FuncFormatter(lambda tick, _: tick_text(tick)))


def tick_text(tick: float) -> str:
    """Return a power of ten as the mark of an axis.

    >>> tick_text(0.01), tick_text(1e6)
    ('0.01', '$10^{6}$')
    """
    if _PLAIN[0] <= tick <= _PLAIN[1]:
        return number(tick)
    return f"$10^{{{round(math.log10(tick))}}}$"
