"""The height of a picture of a fit: the left side of the equation, or a column that it is computed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope._errors import PointError, SettingError, nearest
from downslope._text import listed

if TYPE_CHECKING:
    from downslope.fitting import Fit, GroupedFit

_STEPS = 2000  # points at which a left side is checked to rise or to fall throughout
_HALVINGS = 70


@dataclass(frozen=True)
class Height:
    """The quantity on the vertical axis of a picture.

    Args:
        name: what the axis is called.
        column: the column that is drawn; None for the left side as it is.
        others: the further columns of the left side, which each row has for itself; () where there are none.
        scale: from values of the left side to those of the column; None where the left side is drawn.
    """

    name: str
    column: str | None = None
    others: tuple[str, ...] = ()
    scale: OwnScale | None = field(default=None, repr=False)

    def heights(self, values: np.ndarray, rows: Mapping[str, np.ndarray] | None = None) -> np.ndarray:
        """Return the drawn heights for values of the left side.

        Args:
            values: shape (rows,).
            rows: the columns at these values, where the left side has several.
        """
        if self.scale is None:
            return values
        return self.scale.at(values, {name: (rows or {})[name] for name in self.others})

    def measured(self, result: Fit | GroupedFit) -> np.ndarray:
        """Return the data as they are drawn."""
        return result.measured if self.column is None else result.data[self.column]

    def bars(self, result: Fit | GroupedFit, inside: np.ndarray | None = None) -> np.ndarray | None:
        """Return the lengths of error bars below and above the data, shape (2, rows); None if σ is unknown.

        Args:
            result: the fit.
            inside: which rows; all if None.
        """
        if result.deviations is None:
            return None
        inside = np.ones(len(result.measured), dtype=bool) if inside is None else inside
        sigma, values = result.deviations[inside], result.measured[inside]
        if self.scale is None:
            return np.stack([sigma, sigma])
        rows = {name: column[inside] for name, column in result.data.items()}
        ends = [self.heights(values + side * sigma, rows) for side in (-1, 1)]
        return np.abs(np.nan_to_num(np.sort(ends, axis=0) - self.measured(result)[inside]))


@dataclass(frozen=True)
class OwnScale:
    """The left side of an equation read backwards, as a function of one of its columns.

    Args:
        left: the left side.
        column: the column.
        low: the lowest value that is looked at.
        high: the highest.
        sign: 1 where the left side rises with the column, −1 where it falls.
    """

    left: Any
    column: str
    low: float
    high: float
    sign: float

    def at(self, values: np.ndarray, others: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return where the left side has these values, NaN beyond the ends, shape (rows,).

        Args:
            values: shape (rows,).
            others: the further columns there.
        """
        wanted = self.sign * np.asarray(values, float)
        near, far = np.full(wanted.shape, self.low), np.full(wanted.shape, self.high)

        def height(points: np.ndarray) -> np.ndarray:
            return self.sign * np.asarray(self.left(**{self.column: points}, **others), float)

        with np.errstate(all="ignore"):
            inside = (wanted >= height(near)) & ~(wanted > height(far))
            for _ in range(_HALVINGS):
                # Above 0 a column may span decades, which are halved by their logarithms.
                middle = np.sqrt(near) * np.sqrt(far) if self.low > 0 else (near + far) / 2
                below = height(middle) < wanted
                near, far = np.where(below, middle, near), np.where(below, far, middle)
        return np.where(inside, (near + far) / 2, np.nan)


def left_side(result: Fit | GroupedFit, own_scale: bool | str) -> Height:
    """Return the height of a picture.

    Args:
        result: the fit.
        own_scale: True to draw a left side such as log(pressure) as pressure, the first of its columns; or a column.

    Raises:
        PointError: for a column that the left side does not have.
        SettingError: where the left side cannot be read backwards.
    """
    left = result.model.equation.left
    if own_scale is False or (own_scale is True and result.model.equation.measured is not None):
        return Height(left.read_as)
    name = left.columns[0] if own_scale is True else own_scale
    if name not in left.columns:
        close = nearest(str(name), left.columns)
        raise PointError(
            f"the left side, {left.read_as}, has no column {name!r}; it has {listed(left.columns)}",
            hint=f"did you mean {close}?" if close else None,
        )
    if result.model.equation.measured == name:
        return Height(left.read_as)
    others = tuple(other for other in left.columns if other != name)
    return Height(name, name, others, _own_scale(result, name, others))


def _own_scale(result: Fit | GroupedFit, name: str, others: tuple[str, ...]) -> OwnScale:
    """Return the scale of a column, after checking that the left side rises or falls with it throughout."""
    left, column = result.model.equation.left, result.data[name]
    low, high = float(column.min()), float(column.max())
    wide = 3 * (high - low or abs(high) or 1.0)
    grid = np.geomspace(low / 1e3, high * 1e3, _STEPS) if low > 0 else np.linspace(low - wide, high + wide, _STEPS)
    usual = {other: float(np.median(result.data[other])) for other in others}
    with np.errstate(all="ignore"):
        heights = np.broadcast_to(np.asarray(left(**{name: grid}, **usual), float), grid.shape)
    grid, heights = grid[np.isfinite(heights)], heights[np.isfinite(heights)]
    steps = np.diff(heights)
    if len(grid) < 2 or not (np.all(steps > 0) or np.all(steps < 0)):
        raise SettingError(f"{left.read_as} has a value for several {name}, so it cannot be drawn in its scale")
    return OwnScale(left, name, float(grid[0]), float(grid[-1]), float(np.sign(steps[0])))
