"""Creases: curves on which a formula has a kink, followed to the point where the value no longer falls.

A descent that meets the kink of |u| stops anywhere on u = 0, where no straight step goes down, though the value may
fall along the curve. So a point beside a kink is moved onto it, and from there along it: a step along the tangent, back
onto the curve by Newton's method, longer while the value falls and shorter where it does not.

References: Torczon, "On the convergence of pattern search algorithms", 1997.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from downslope.descent import NumericObjective, obstacle
from downslope.ensembles._space import Space
from downslope.formulas import rough_parts

_BESIDE = 1e-3  # of the extent: a point that is nearer to a kink may lie on it
_NEWTON = 12  # steps back onto the curve
_FIRST, _LONGEST, _SHORTEST = 1e-2, 0.1, 1e-17  # steps along it, of the extent
_MOST = 2000  # of them


class Creases:
    """The kinks of an objective over a space.

    Args:
        space: the space.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        goal = space.objective
        self._borders: list[NumericObjective] = []
        if goal.formula is None or obstacle(goal) is not None or goal.formula.columns:
            return
        names = space.layout.names
        self._value = NumericObjective(goal.formula, {}, names)
        for part in rough_parts(goal.formula.body):
            if part.kind in ("kink", "root"):
                self._borders.append(NumericObjective(replace(goal.formula, body=part.border), {}, names))

    def __bool__(self) -> bool:
        return bool(self._borders)

    def lowered(self, point: np.ndarray) -> np.ndarray:
        """Return the lowest point that the creases beside a point lead to; the point itself where there are none."""
        with np.errstate(all="ignore"):
            value = float(self._value(point))
            on: list[NumericObjective] = []
            for border in self._borders:
                tried = self._onto([*on, border], point)
                if tried is not None and float(self._value(tried)) <= value:
                    on, point, value = [*on, border], tried, float(self._value(tried))
            return self._along(on, point, value) if on else point

    def _onto(self, borders: Sequence[NumericObjective], point: np.ndarray) -> np.ndarray | None:
        """Return the nearest point at which all of some borders are 0; None if there is none close by."""
        if len(borders) > len(point):
            return None
        extent, reached = self._space.extent, point
        for _ in range(_NEWTON):
            values, slopes = self._of(borders, reached)
            if not (np.isfinite(values).all() and np.isfinite(slopes).all()):
                return None
            step = extent * (np.linalg.pinv(slopes) @ -values)
            after = np.clip(reached + step, self._space.low, self._space.high)
            if np.array_equal(after, reached):
                break
            reached = after
        return reached if np.all(np.abs(reached - point) <= _BESIDE * extent) else None

    def _of(self, borders: Sequence[NumericObjective], point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values and slopes of borders by units of the extent, shapes (borders,) and (borders, size)."""
        pairs = [border.value_and_gradient(point) for border in borders]
        return np.array([value for value, _ in pairs]), np.array([slope for _, slope in pairs]) * self._space.extent

    def _along(self, borders: Sequence[NumericObjective], point: np.ndarray, value: float) -> np.ndarray:
        """Return the lowest point met along the curve on which some borders are 0."""
        reach, space = _FIRST, self._space
        for _ in range(_MOST):
            if reach < _SHORTEST:
                break
            _, slopes = self._of(borders, point)
            tangents = np.linalg.svd(slopes)[2][len(borders) :] if np.isfinite(slopes).all() else slopes[:0]
            lower = None
            for way in (*tangents, *-tangents):
                ahead = np.clip(point + reach * way * space.extent, space.low, space.high)
                tried = self._onto(borders, ahead)
                if tried is not None and float(self._value(tried)) < value:
                    lower = tried
                    break
            if not len(tangents):
                break
            if lower is None:
                reach /= 2
            else:
                point, value, reach = lower, float(self._value(lower)), min(2 * reach, _LONGEST)
        return point
